import { constants } from 'node:os';
import koffi from 'koffi';
import { noteClosed } from './descriptors.ts';

/**
 * The Linux system calls of the fast UDP port, by FFI, with the structure layouts of 64-bit Linux. Pointers are numbers
 * (addresses are below 2^53). A wrong offset here is memory corruption, hence the self-test in `mmsg.ts`.
 */
const lib = koffi.load(null);

export const libc = {
  socket: lib.func('int socket(int, int, int)'),
  bind: lib.func('int bind(int, uintptr_t, uint32_t)'),
  getsockname: lib.func('int getsockname(int, uintptr_t, uintptr_t)'),
  setsockopt: lib.func('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
  close: lib.func('int close(int)'),
  recvmmsg: lib.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
  sendmmsg: lib.func('int sendmmsg(int, uintptr_t, uint32_t, int)'),
  epollCreate: lib.func('int epoll_create1(int)'),
  epollControl: lib.func('int epoll_ctl(int, int, int, uintptr_t)'),
  epollWait: lib.func('int epoll_wait(int, uintptr_t, int, int)'),
  mmap: lib.func('uintptr_t mmap(uintptr_t, size_t, int, int, int, long)'),
  munmap: lib.func('int munmap(uintptr_t, size_t)'),
  syscall: lib.func('long syscall(long, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)'),
  usleep: lib.func('int usleep(uint32_t)'),
} as const;

export const { EAGAIN, EINTR } = constants.errno;
export const AF_INET = 2;
export const AF_INET6 = 10;
/** SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC */
export const SOCK_DGRAM_NONBLOCK = 2 | 0o4000 | 0o2000000;
export const MSG_DONTWAIT = 0x40;
export const MSG_TRUNC = 0x20;
export const MSG_ERRQUEUE = 0x2000;
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const EPOLLERR = 8;

/** struct mmsghdr, 64 bytes, in 32-bit words: name 0, namelen 2, iov 4, iovlen 6, control 8, controllen 10, flags 12, msg_len 14. */
export const MMSGHDR_BYTES = 64;
/** struct iovec, 16 bytes: base, length. */
export const IOVEC_BYTES = 16;
/** Room per socket address: sockaddr_in6 is 28 bytes. */
export const SOCKADDR_BYTES = 32;
export const SOCKADDR_IN_LENGTH = 16;
export const SOCKADDR_IN6_LENGTH = 28;
/**
 * A control message UDP_SEGMENT: cmsg_len (8 bytes, without padding), level, type, the 16-bit segment size, padding. In
 * words: length 0, level 2, type 3, size 4.
 */
export const SEGMENT_CONTROL_BYTES = 24;
export const SEGMENT_CONTROL_LENGTH = 18;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
/**
 * A control message IP_RECVERR or IPV6_RECVERR, in bytes: level 8, type 12, then struct sock_extended_err: errno 16, origin
 * 20, type 21, code 22, info 24, data 28, and the address that told it, at most 28 bytes.
 */
export const ERROR_CONTROL_BYTES = 64;
export const SOL_IP = 0;
export const IP_RECVERR = 11;
export const SOL_IPV6 = 41;
export const IPV6_RECVERR = 25;
/** struct epoll_event: packed to 12 bytes on x86-64, 16 with the data at 8 elsewhere. */
export const EPOLL_EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
export const EPOLL_EVENT_DATA = process.arch === 'x64' ? 4 : 8;

/** Closes a descriptor that was noted when it was opened. */
export function closeDescriptor(fd: number): void {
  noteClosed(fd);
  libc.close(fd);
}

/** The address of the first byte of a buffer; valid while the buffer is referenced. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** errno of the last system call. */
export function lastErrorNumber(): number {
  return koffi.errno();
}

/** The name of the last system call's error: `EADDRINUSE`. */
function lastErrorCode(): string {
  const number = koffi.errno();
  for (const [name, value] of Object.entries(constants.errno)) if (value === number) return name;
  return `errno ${number}`;
}

/** An Error like Node's own, with `code` and `syscall`. */
export function systemError(syscall: string, detail: string): Error {
  const code = lastErrorCode();
  return Object.assign(new Error(`${syscall} ${code} ${detail}`), { code, syscall });
}
