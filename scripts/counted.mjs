// A node:test reporter that writes one JSON object at the end: how many tests passed and failed, and which were skipped.
// Suites are not counted, nor is a test that only failed because one of its own subtests did (that one is).
export default async function* count(source) {
  let passed = 0;
  let failed = 0;
  const skips = [];
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite' && type === 'test:pass') continue;
    if (data.skip !== undefined) skips.push(data.skip === true ? data.name : `${data.name} — ${data.skip}`);
    else if (type === 'test:pass' || data.todo !== undefined) passed++;
    else if (data.details?.error?.failureType !== 'subtestsFailed') failed++;
  }
  yield JSON.stringify({ passed, failed, skips });
}
