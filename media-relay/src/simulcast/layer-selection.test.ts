import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulcastLayer } from './layer.ts';
import { LayerSelection } from './layer-selection.ts';

test('what goes on of a layer goes on when its temporal layers end', () => {
  const layer = new SimulcastLayer();
  const selection = new LayerSelection();
  selection.setLayers([layer]);
  selection.begin(layer);
  let nowMs = 0;
  const run = (seconds: number, temporalLayers: number, bps: number) => {
    for (const untilMs = nowMs + seconds * 1000; nowMs < untilMs; nowMs += 100) {
      for (let i = 0; i < temporalLayers; i++) layer.count(i, 1250);
      selection.handleTimeout(bps, nowMs);
      assert.ok(selection.temporal >= 0, `${nowMs} ms`);
    }
  };
  run(5, 3, 1_000_000);
  run(1, 3, 105_000);
  assert.deepEqual([selection.layer, selection.temporal], [layer, 0], 'a third of it fits');
  run(9, 1, 105_000);
  assert.equal(selection.layer, layer, 'all that is left of it has what it needs');
});
