import { writeFileSync } from 'node:fs';
import { seededRandom } from '@offhook/core';

const WIDTH = 640;
const HEIGHT = 360;
const FRAMES = 16;
const BLOCK = 8;

/**
 * A camera's file for Chromium (YUV4MPEG2, 20 frames a second, over and over): squares that change with each frame, so that an
 * encoder has use for every bit it is given. The picture of its own fake camera is content with 200 kb/s.
 */
export function writeBusyPicture(path: string): void {
  const random = seededRandom(7);
  const chroma = new Uint8Array((WIDTH * HEIGHT) / 2).fill(128);
  const parts: Uint8Array[] = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F20:1 Ip A1:1 C420jpeg\n`)];
  for (let frame = 0; frame < FRAMES; frame++) {
    const luma = new Uint8Array(WIDTH * HEIGHT);
    for (let y = 0; y < HEIGHT; y += BLOCK) {
      for (let x = 0; x < WIDTH; x += BLOCK) {
        const level = 60 + Math.floor(random.next() * 120);
        for (let row = y; row < Math.min(HEIGHT, y + BLOCK); row++) {
          luma.fill(level, row * WIDTH + x, row * WIDTH + x + BLOCK);
        }
      }
    }
    parts.push(Buffer.from('FRAME\n'), luma, chroma);
  }
  writeFileSync(path, Buffer.concat(parts));
}
