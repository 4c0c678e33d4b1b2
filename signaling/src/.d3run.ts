import { startSignaling } from './server/server.ts';

const running = await startSignaling({
  part: 'signaling',
  runDir: '/tmp/d3',
  configHash: '',
  dataDir: '/tmp/d3/data',
  domain: 'offhook.local',
  sip: { udp: [{ address: '127.0.0.1', port: 25060 }], tcp: [{ address: '127.0.0.1', port: 25060 }] },
  http: { address: '127.0.0.1', port: 25080, webRoot: '/work/main/web-phone/dist' },
  media: { relays: ['udp:127.0.0.1:' + (process.env.NG ?? '25223')], path: 'opaque' },
  turn: { uris: [], secret: '', ttlS: 600 },
  sessionSecret: 'x'.repeat(32),
  nonceSecret: 'y'.repeat(32),
} as never);
const users = running.verbs!.users! as (a: Record<string, unknown>) => Promise<unknown>;
for (const u of ['tester', 'desk1', 'desk2'])
  await users({ op: 'add', user: u, password: 'good-password-1' }).catch(() =>
    users({ op: 'passwd', user: u, password: 'good-password-1' }),
  );
console.log(JSON.stringify(running.ports));
process.on('SIGTERM', () => running.stop().then(() => process.exit(0)));
setInterval(() => console.log(JSON.stringify(running.details!())), 5000);
