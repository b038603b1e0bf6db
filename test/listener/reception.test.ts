import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ConnectionTable } from '../../src/shared/connection-table.ts'
import { parseCidr, type Cidr } from '../../src/net-address.ts'
import type { TlsMaterial } from '../../src/listener/certificates.ts'
import type { TlsOptions } from '../../src/listener/options.ts'
import { asPem, makeServerCertificate } from '../support/certificates.ts'
import { ManualClock } from '../support/manual-clock.ts'
import {
  closed,
  connectTo,
  EchoEngine,
  eventually,
  openTestListener,
  readUntil,
  type TestListener,
} from '../support/open-listener.ts'
import { proxyHeaderV1, proxyHeaderV2, proxyHeaderV2Local } from '../support/proxy-header.ts'

const tls: TlsOptions = { preset: 'modern', certificates: [], clientAuth: 'none', clientCaFile: undefined }
const fromLoopback = { from: [parseCidr('127.0.0.0/8') as Cidr] }
const fromElsewhere = { from: [parseCidr('10.0.0.0/8') as Cidr] }
let material: TlsMaterial

beforeAll(async () => {
  material = { certificates: [asPem(await makeServerCertificate(['localhost']))], clientCa: undefined }
})

const open: TestListener[] = []
const start = async (init: Parameters<typeof openTestListener>[0]): Promise<TestListener> => {
  const started = await openTestListener(init)
  open.push(started)
  return started
}
afterEach(async () => {
  for (const { listener } of open.splice(0)) {
    await listener.close()
    listener.destroy()
  }
})

describe('a plain connection', () => {
  test('reaches the HTTP/1.1 engine with what is known about it', async () => {
    const { port, http1, table } = await start({})
    const client = await connectTo(port)
    client.write('hello')
    expect(await readUntil(client, (text) => text.includes('hello'))).toBe('h1:hello')
    expect(http1.accepted[0]).toMatchObject({
      listener: ':0',
      encrypted: false,
      remoteAddress: '127.0.0.1',
      remotePort: client.localPort,
      localPort: port,
      tls: undefined,
    })
    expect(table.total()).toBe(1)
    client.destroy()
    await eventually(() => table.total() === 0)
  })

  test('stays half-open until the engine has answered', async () => {
    const { port, http1 } = await start({})
    const client = await connectTo(port)
    client.end('last words')
    expect(await readUntil(client, () => false)).toBe('h1:last words')
    expect(http1.accepted).toHaveLength(1)
  })

  test('is closed without a word when the gate says so, and only then', async () => {
    let verdict: 'accept' | 'close' = 'close'
    const asked: string[] = []
    const admit = (address: string): 'accept' | 'close' => {
      asked.push(address)
      return verdict
    }
    const { port, http1, listener, table } = await start({ plan: { admit } })
    await closed(await connectTo(port))
    expect(http1.accepted).toHaveLength(0)
    expect(listener.stats.gateRefused).toBe(1)
    await eventually(() => table.total() === 0)
    verdict = 'accept'
    const client = await connectTo(port)
    client.write('x')
    expect(await readUntil(client, (text) => text !== '')).toBe('h1:x')
    expect(asked).toEqual(['127.0.0.1', '127.0.0.1'])
  })

  test('over the total limit is closed; the next one after a close gets in', async () => {
    const { port, listener, table } = await start({
      plan: { limits: { maxConnections: 2, maxConnectionsPerClient: undefined } },
    })
    const first = await connectTo(port)
    const second = await connectTo(port)
    await eventually(() => table.total() === 2)
    await closed(await connectTo(port))
    expect(listener.stats.totalRefused).toBe(1)
    first.destroy()
    await eventually(() => table.total() === 1)
    const third = await connectTo(port)
    third.write('x')
    expect(await readUntil(third, (text) => text !== '')).toBe('h1:x')
    second.destroy()
  })

  test('over the limit per client is closed, unless the peer is a trusted proxy', async () => {
    let trusted = false
    const { port, listener, table } = await start({
      plan: { limits: { maxConnections: 50, maxConnectionsPerClient: 1 }, isTrustedProxy: () => trusted },
    })
    const first = await connectTo(port)
    await eventually(() => table.client('127.0.0.1') === 1)
    await closed(await connectTo(port))
    expect(listener.stats.clientRefused).toBe(1)
    trusted = true
    const proxy = await connectTo(port)
    proxy.write('x')
    expect(await readUntil(proxy, (text) => text !== '')).toBe('h1:x')
    first.destroy()
    await eventually(() => table.client('127.0.0.1') === 0)
  })

  test('counts for every worker on the same memory', async () => {
    const memory = ConnectionTable.allocate(10, 2, 1)
    const limits = { maxConnections: 1, maxConnectionsPerClient: undefined }
    const one = await start({ plan: { limits }, deps: { table: new ConnectionTable(memory, 0) } })
    const two = await start({ plan: { limits }, deps: { table: new ConnectionTable(memory, 1) } })
    const first = await connectTo(one.port)
    await eventually(() => one.table.total() === 1)
    await closed(await connectTo(two.port))
    first.destroy()
    expect(two.listener.stats.totalRefused).toBe(1)
  })

  test('is cut by itself when its engine throws', async () => {
    const broken = new EchoEngine('broken')
    broken.accept = () => {
      throw new Error('fault')
    }
    const { port } = await start({ plan: { engines: { http1: broken, http2: undefined } } })
    await closed(await connectTo(port))
    await closed(await connectTo(port))
  })
})

describe('the PROXY protocol', () => {
  test.each([
    ['version 1', proxyHeaderV1('192.0.2.9', 4711, 443)],
    ['version 2', proxyHeaderV2({ source: '192.0.2.9', sourcePort: 4711, destinationPort: 443 })],
  ])('%s names the client; gate and limit apply to that name', async (_, header) => {
    const asked: string[] = []
    const { port, http1, table } = await start({
      options: { proxyProtocol: fromLoopback },
      plan: {
        limits: { maxConnections: 10, maxConnectionsPerClient: 5 },
        admit: (address) => {
          asked.push(address)
          return 'accept'
        },
        isTrustedProxy: (address) => address === '127.0.0.1',
      },
    })
    const client = await connectTo(port)
    client.write(Buffer.concat([header, Buffer.from('data behind it')]))
    expect(await readUntil(client, (text) => text.includes('it'))).toBe('h1:data behind it')
    client.write('more')
    expect(await readUntil(client, (text) => text.includes('more'))).toBe('h1:more')
    expect(http1.accepted[0]).toMatchObject({ remoteAddress: '192.0.2.9', remotePort: 4711, localPort: 443 })
    expect(asked).toEqual(['192.0.2.9'])
    expect(table.client('192.0.2.9')).toBe(1)
    expect(table.client('127.0.0.1')).toBe(0)
  })

  test('may arrive byte by byte', async () => {
    const { port, http1 } = await start({ options: { proxyProtocol: fromLoopback } })
    const client = await connectTo(port)
    client.setNoDelay(true)
    for (const byte of [
      ...proxyHeaderV2({ source: '2001:db8::9', sourcePort: 1, destinationPort: 2 }),
      0x78,
    ]) {
      client.write(Buffer.from([byte]))
      await new Promise<void>((resolve) => void setImmediate(resolve))
    }
    expect(await readUntil(client, (text) => text !== '')).toBe('h1:x')
    expect(http1.accepted[0]?.remoteAddress).toBe('2001:db8::9')
  })

  test('LOCAL leaves the peer its own address', async () => {
    const { port, http1 } = await start({ options: { proxyProtocol: fromLoopback } })
    const client = await connectTo(port)
    client.write(Buffer.concat([proxyHeaderV2Local, Buffer.from('x')]))
    expect(await readUntil(client, (text) => text !== '')).toBe('h1:x')
    expect(http1.accepted[0]?.remoteAddress).toBe('127.0.0.1')
  })

  test('is demanded from listed peers', async () => {
    const { port, http1, listener } = await start({ options: { proxyProtocol: fromLoopback } })
    const client = await connectTo(port)
    client.write('GET / HTTP/1.1\r\n\r\n')
    await closed(client)
    expect(http1.accepted).toHaveLength(0)
    expect(listener.stats.proxyHeaderRefused).toBe(1)
  })

  test('is not looked for from others: they cannot give themselves another address', async () => {
    const { port, http1 } = await start({ options: { proxyProtocol: fromElsewhere } })
    const client = await connectTo(port)
    client.write(proxyHeaderV1('192.0.2.9', 1, 2))
    expect(await readUntil(client, (text) => text.includes('\n'))).toContain('h1:PROXY TCP4')
    expect(http1.accepted[0]?.remoteAddress).toBe('127.0.0.1')
  })

  test('is awaited for the handshake timeout only', async () => {
    const clock = new ManualClock()
    const { port, listener, table } = await start({ clock, options: { proxyProtocol: fromLoopback } })
    const client = await connectTo(port)
    client.write('PROXY TCP4 ')
    await eventually(() => clock.pending === 1)
    clock.advance(9_999)
    expect(listener.connections).toBe(1)
    clock.advance(1)
    await closed(client)
    expect(listener.stats.handshakeTimedOut).toBe(1)
    await eventually(() => table.total() === 0)
  })

  test('a peer that leaves while it is awaited leaves nothing behind', async () => {
    const { port, listener, table } = await start({ options: { proxyProtocol: fromLoopback } })
    const client = await connectTo(port)
    client.end('PROXY')
    await closed(client)
    await eventually(() => listener.connections === 0 && table.total() === 0)
  })

  test('comes before TLS, header and ClientHello in one segment', async () => {
    const { port, http1 } = await start({ options: { proxyProtocol: fromLoopback, tls }, plan: { material } })
    const raw = await connectTo(port)
    raw.cork()
    raw.write(proxyHeaderV2({ source: '192.0.2.9', sourcePort: 4711, destinationPort: 443 }))
    const client = tlsConnect({ socket: raw, rejectUnauthorized: false, servername: 'localhost' })
    client.on('error', () => {})
    setImmediate(() => raw.uncork())
    client.write('secret')
    expect(await readUntil(client, (text) => text.includes('secret'))).toBe('h1:secret')
    expect(http1.accepted[0]).toMatchObject({ remoteAddress: '192.0.2.9', encrypted: true })
    client.destroy()
  })

  test('comes before TLS, header and the ClientHello glued and then cut elsewhere', async () => {
    const { port, http1 } = await start({ options: { proxyProtocol: fromLoopback, tls }, plan: { material } })
    // A relay that joins the header and the first bytes of TLS into one write and sends the rest later.
    const relay = connect({ port, host: '127.0.0.1' })
    relay.on('error', () => {})
    const { createServer: createRelay } = await import('node:net')
    const server = createRelay((socket: Socket) => {
      socket.on('error', () => {})
      let first = true
      socket.on('data', (chunk: Buffer) => {
        if (!first) {
          relay.write(chunk)
          return
        }
        first = false
        relay.write(Buffer.concat([proxyHeaderV1('192.0.2.9', 1, 2), chunk.subarray(0, 50)]))
        setImmediate(() => relay.write(chunk.subarray(50)))
      })
      relay.pipe(socket)
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const client = tlsConnect({
      port: typeof address === 'object' ? (address?.port ?? 0) : 0,
      rejectUnauthorized: false,
    })
    client.on('error', () => {})
    client.write('secret')
    expect(await readUntil(client, (text) => text.includes('secret'))).toBe('h1:secret')
    expect(http1.accepted[0]?.remoteAddress).toBe('192.0.2.9')
    client.destroy()
    relay.destroy()
    server.close()
  })

  test('works in front of a node:http server as engine', async () => {
    const server = createServer((request, response) => {
      response.end(`${request.method} ${request.url}`)
    })
    const engine = new EchoEngine('http')
    engine.accept = (socket) => void server.emit('connection', socket)
    const { port } = await start({
      options: { proxyProtocol: fromLoopback },
      plan: { engines: { http1: engine, http2: undefined } },
    })
    const client = await connectTo(port)
    client.write(
      Buffer.concat([proxyHeaderV1('192.0.2.9', 1, 2), Buffer.from('GET /one HTTP/1.1\r\nHost: a\r\n')]),
    )
    await new Promise<void>((resolve) => void setImmediate(resolve))
    client.write('\r\nGET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const text = await readUntil(client, () => false)
    expect(text).toContain('GET /one')
    expect(text).toContain('GET /two')
  })
})
