import { createSocket, type Socket, type SocketOptions } from 'node:dgram';

/** A bound `node:dgram` socket with these buffers; rejects with the system's error, and leaves nothing open then. */
export async function bindDgram(
  options: SocketOptions,
  at: { readonly address: string; readonly port: number; readonly receiveBuffer: number; readonly sendBuffer: number },
): Promise<Socket> {
  const socket = createSocket(options);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    socket.setRecvBufferSize(at.receiveBuffer);
    socket.setSendBufferSize(at.sendBuffer);
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}
