/**
 * Of the events of a test run, when it has ended: how many tests passed and failed, and which were skipped. Suites are not
 * counted, nor is a test that only failed because one of its own subtests did (that one is). A run that was not one is a failure.
 */
export function counted(running) {
  const counts = { passed: 0, failed: 0, skips: [] };
  let isWhole = false;
  const note = (type, data) => {
    if (data.details?.type === 'suite' && type === 'pass') return;
    if (data.skip !== undefined) counts.skips.push(data.skip === true ? data.name : `${data.name} — ${data.skip}`);
    else if (type === 'pass' || data.todo !== undefined) counts.passed++;
    else if (data.details?.error?.failureType !== 'subtestsFailed') counts.failed++;
  };
  running.on('test:pass', (data) => note('pass', data));
  running.on('test:fail', (data) => note('fail', data));
  running.on('test:summary', ({ file, success }) => {
    if (file !== undefined) return;
    isWhole = true;
    if (!success && counts.failed === 0) counts.failed = 1;
  });
  return new Promise((resolve) => {
    running.once('close', () => resolve(isWhole ? counts : { ...counts, failed: counts.failed + 1 }));
  });
}
