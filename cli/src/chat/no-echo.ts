/**
 * Loaded before all else when a chat starts (`--import`): what is typed while the rest is still being loaded may be the password
 * already. Node gives the terminal back as it was at its end.
 */
const { stdin, stderr, env, argv } = process;
const isGiven = (env.OFFHOOK_PASSWORD ?? '') !== '' || argv.some((one) => /^--(?:password-file|help)\b/.test(one));
if (!isGiven && stdin.isTTY && stderr.isTTY) stdin.setRawMode(true);
