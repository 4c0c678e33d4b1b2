import { MediaFlow } from './media-flow.ts';
import { World, meanBps, queueP95, secondsUntil } from './world.ts';
const steps = [{atMs:0,bps:1e6},{atMs:40_000,bps:2.5e6},{atMs:60_000,bps:0.6e6},{atMs:80_000,bps:1e6}];
const t0=performance.now();
const world = new World(1, { forward: { capacity: steps, delayMs: 50, queueMs: 300 } });
const flow = new MediaFlow(world, { name: 'a' });
world.run(100);
for (let s=0;s<100;s+=1) console.log(s, (meanBps(world.curves[0]!.sentBps,s,s+1)/1e3).toFixed(0), (world.curves[0]!.targetBps[s*5+4]!/1e3).toFixed(0), Math.max(...world.queueMs.slice(s*50,s*50+50)).toFixed(0));
console.log(flow.control.describe(), flow.paddingBytes, world.net.lost, performance.now()-t0);
