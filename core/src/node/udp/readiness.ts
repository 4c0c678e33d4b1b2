import { performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { threadArena } from './arena.ts';
import { noteOpened } from './descriptors.ts';
import {
  addressOf,
  closeDescriptor,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_EVENT_BYTES,
  EPOLL_EVENT_DATA,
  EPOLLERR,
  EPOLLIN,
  libc,
  systemError,
} from './libc.ts';
import { BATCH } from './port.ts';
import type { RingReads } from './ring-reads.ts';

const EVENTS = 128;
/** Rounds of reading per wake-up before timers and control sockets have their turn. */
const ROUNDS = 4;

/** Packets of a pass beyond which more at once save nothing: the next one doesn't sleep. */
const ENOUGH = 64;

/** So long packets are gathered and served before timers and control sockets have their turn. */
const STAY_MS = 3;

interface Watched {
  /** Has what waits read together with what waits elsewhere, before `handleReady`. */
  queueReads?(reads: RingReads): void;
  /** What epoll says of the socket. */
  handleReady(events: number): void;
  close(): void;
}

/**
 * One epoll descriptor for all ports of this thread, itself watched by the event loop: a wake-up costs one callback
 * whatever number of ports is ready.
 */
class Readiness {
  readonly #epoll: number;
  readonly #handle: ReturnType<typeof koffi.node.poll>;
  readonly #events = new DataView(new ArrayBuffer(EVENTS * EPOLL_EVENT_BYTES));
  readonly #eventsAddress = addressOf(new Uint8Array(this.#events.buffer));
  /** By descriptor, without a hole in front: an array with holes may become a dictionary. */
  readonly #watched: (Watched | undefined)[] = [];
  readonly #holding = new Set<number>();
  /** Descriptors are the process's: a thread that ends by an error would leave them open. */
  readonly #closeAll = () => {
    for (const watched of this.#watched) watched?.close();
  };
  readonly #serveNow = () => this.serve(0);
  /**
   * In the same turn of the loop, but outside of the callback from C: a thread that is ended in there (`terminate`, out of
   * memory) takes the process with it. It still may while packets keep coming in, as the callback can't be entered then.
   */
  readonly #serveSoon = () => void setImmediate(this.#serveNow);
  readonly #round = () => this.#handleReady();
  #count = 0;
  #ready = 0;
  #backlog = false;

  constructor() {
    this.#epoll = libc.epollCreate(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw systemError('epoll_create1', '');
    noteOpened(this.#epoll);
    this.#handle = koffi.node.poll(this.#epoll, { readable: true }, isMainThread ? this.#serveNow : this.#serveSoon);
    this.#handle.unref();
    if (!isMainThread) process.on('exit', this.#closeAll);
  }

  watch(fd: number, watched: Watched, holdsProcess: boolean): void {
    this.#events.setUint32(0, EPOLLIN, true);
    this.#events.setUint32(EPOLL_EVENT_DATA, fd, true);
    this.#events.setUint32(EPOLL_EVENT_DATA + 4, 0, true);
    if (libc.epollControl(this.#epoll, EPOLL_CTL_ADD, fd, this.#eventsAddress) < 0) throw systemError('epoll_ctl', '');
    while (this.#watched.length <= fd) this.#watched.push(undefined);
    this.#watched[fd] = watched;
    this.#count++;
    if (holdsProcess) this.hold(fd);
  }

  unwatch(fd: number): void {
    if (this.#watched[fd] === undefined) return;
    this.#watched[fd] = undefined;
    this.#count--;
    libc.epollControl(this.#epoll, EPOLL_CTL_DEL, fd, this.#eventsAddress);
    this.release(fd);
    if (this.#count > 0) return;
    process.off('exit', this.#closeAll);
    this.#handle.close();
    closeDescriptor(this.#epoll);
    readiness = undefined;
  }

  hold(fd: number): void {
    this.#holding.add(fd);
    if (this.#holding.size === 1) this.#handle.ref();
  }

  release(fd: number): void {
    if (this.#holding.delete(fd) && this.#holding.size === 0) this.#handle.unref();
  }

  /**
   * Waits up to `waitMs` for packets and has them handled. While gathering pays it goes on for some milliseconds: returning to
   * the event loop and being woken by it costs as much as several packets.
   */
  serve(waitMs: number): void {
    const stayUntilMs = gathering.intervalUs > 0 ? performance.now() + STAY_MS : 0;
    this.#pass(waitMs);
    while (
      readiness === this &&
      gathering.packets > 0 &&
      this.#mayGather() &&
      performance.now() + gathering.intervalUs / 1000 < stayUntilMs
    ) {
      this.#pass(0);
    }
  }

  /** What the last pass left unread needs no waiting for company, and a thread that has enough to do gathers by being late. */
  #mayGather(): boolean {
    return (
      gathering.intervalUs > 0 &&
      gathering.expected >= gathering.minPackets &&
      gathering.packets < ENOUGH &&
      !this.#backlog
    );
  }

  #pass(waitMs: number): void {
    const arena = threadArena();
    let wait = waitMs;
    const hasSlept = this.#mayGather();
    if (hasSlept) {
      const beganMs = performance.now();
      libc.usleep(gathering.intervalUs);
      gathering.sleptMs += performance.now() - beganMs;
    }
    gathering.packets = 0;
    gathering.worth = 0;
    this.#backlog = true;
    for (let round = 0; round < ROUNDS && readiness === this; round++) {
      this.#ready = libc.epollWait(this.#epoll, this.#eventsAddress, EVENTS, wait);
      wait = 0;
      const before = gathering.packets;
      if (this.#ready > 0) arena.turn(this.#round);
      if (this.#ready < EVENTS) gathering.pass = (gathering.pass + 1) & 0x3fffffff;
      // A socket that may hold more is asked again at once where the next wake-up would be one sleep later.
      const isDone = hasSlept ? this.#ready < EVENTS && !gathering.mayHaveMore : gathering.packets - before < BATCH;
      gathering.mayHaveMore = false;
      if (this.#ready <= 0 || isDone) {
        this.#backlog = false;
        break;
      }
    }
    gathering.observe();
  }

  #handleReady(): void {
    // A handler may close a port whose event is still in the list and another may get its number: `fill` reads 0 then.
    const events = this.#events;
    const watched = this.#watched;
    const { reads } = threadArena();
    reads?.begin(this.#ready);
    if (reads !== undefined && !reads.isBroken && this.#ready > 1) {
      for (let i = 0, at = 0; i < this.#ready; i++, at += EPOLL_EVENT_BYTES) {
        // who has an error to be told reads that first
        if ((events.getUint32(at, true) & EPOLLERR) === 0)
          watched[events.getUint32(at + EPOLL_EVENT_DATA, true)]?.queueReads?.(reads);
      }
      reads.submit();
    }
    for (let i = 0, at = 0; i < this.#ready; i++, at += EPOLL_EVENT_BYTES)
      watched[events.getUint32(at + EPOLL_EVENT_DATA, true)]?.handleReady(events.getUint32(at, true));
  }
}

/**
 * Adaptive gathering: under load the thread sleeps a fraction of a millisecond after a wake-up, so that one wake-up
 * handles several packets. It costs that much delay and saves up to half of the CPU time.
 */
class Gathering {
  /** The sleep in µs; 0 turns gathering off. */
  intervalUs = 0;
  /** Sleep only when the interval is expected to bring this many packets. */
  minPackets = 4;
  /** Packets expected in the next interval, from the measured rate. */
  expected = 0;
  /** Packets read since the current wake-up. */
  packets = 0;
  /** Of these, the ones that more of may be waited for. */
  worth = 0;
  /** The number of the current look at all sockets that are ready; with many it takes several rounds. Below 2^30. */
  pass = 0;
  /** A socket gave as many packets as it was asked for, and that was less than a batch. */
  mayHaveMore = false;
  /** Time slept so far: an event loop that sleeps here takes itself for busy. */
  sleptMs = 0;
  #windowStartedMs = 0;
  #windowPackets = 0;

  observe(): void {
    if (this.intervalUs === 0) return;
    this.#windowPackets += this.worth;
    const now = performance.now();
    const elapsed = now - this.#windowStartedMs;
    if (elapsed < 20) return;
    this.expected = elapsed > 1000 ? 0 : (this.#windowPackets / elapsed) * (this.intervalUs / 1000);
    this.#windowStartedMs = now;
    this.#windowPackets = 0;
  }
}

export const gathering = new Gathering();

let readiness: Readiness | undefined;

/** This thread's readiness watcher, made when the first port is watched and gone with the last. */
export function threadReadiness(): Readiness {
  readiness ??= new Readiness();
  return readiness;
}
