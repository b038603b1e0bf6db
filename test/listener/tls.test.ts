import { randomBytes, X509Certificate } from 'node:crypto'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TlsMaterial } from '../../src/listener/certificates.ts'
import type { TlsOptions } from '../../src/listener/options.ts'
import {
  asPem,
  makeAuthority,
  makeClientCertificate,
  makeServerCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../support/certificates.ts'
import { ManualClock } from '../support/manual-clock.ts'
import {
  closed,
  connectTo,
  eventually,
  openTestListener,
  readUntil,
  type TestListener,
} from '../support/open-listener.ts'

const intermediate: TlsOptions = {
  preset: 'intermediate',
  certificates: [],
  clientAuth: 'none',
  clientCaFile: undefined,
}
let authority: TestAuthority
let first: TestCertificate
let second: TestCertificate
let alice: TestCertificate
let mallory: TestCertificate
let material: TlsMaterial

beforeAll(async () => {
  authority = await makeAuthority()
  first = await makeServerCertificate(['first.example', 'localhost'], authority)
  second = await makeServerCertificate(['second.example', '*.second.example'], authority)
  alice = await makeClientCertificate({ C: 'DE', O: 'Müller\\, Söhne', CN: 'alice' }, authority)
  mallory = await makeClientCertificate({ CN: 'alice' })
  material = { certificates: [asPem(first), asPem(second)], clientCa: undefined }
})

const open: TestListener[] = []
const start = async (
  options: Partial<TlsOptions> = {},
  init: Parameters<typeof openTestListener>[0] = {},
): Promise<TestListener> => {
  const started = await openTestListener({
    ...init,
    options: { tls: { ...intermediate, ...options }, ...init.options },
    plan: {
      material: { ...material, clientCa: options.clientAuth === undefined ? undefined : authority.cert },
      ...init.plan,
    },
  })
  open.push(started)
  return started
}
afterEach(async () => {
  for (const { listener } of open.splice(0)) {
    await listener.close()
    listener.destroy()
  }
})

/** A client past its handshake, or what the handshake failed with. */
function shake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket | Error> {
  return new Promise((resolve) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      ca: authority.cert,
      servername: 'first.example',
      ...options,
    })
    socket.on('error', resolve)
    socket.once('secureConnect', () => resolve(socket))
  })
}

async function shaken(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const result = await shake(port, options)
  if (result instanceof Error) throw result
  return result
}

async function ask(socket: TLSSocket): Promise<string> {
  socket.write('x')
  return readUntil(socket, (text) => text !== '')
}

describe('server names', () => {
  test.each([
    ['first.example', 'first.example'],
    ['second.example', 'second.example'],
    ['SECOND.example', 'second.example'],
    ['api.second.example', 'second.example'],
    ['deep.api.second.example', 'first.example'],
    ['unknown.example', 'first.example'],
    ['', 'first.example'],
  ])('%j is served with the certificate of %s', async (servername, expected) => {
    const { port } = await start()
    const socket = await shaken(port, { servername, checkServerIdentity: () => undefined })
    expect(socket.getPeerX509Certificate()?.subject).toBe(`CN=${expected}`)
    socket.destroy()
  })
})

describe('ALPN', () => {
  test.each([
    [['h2', 'http/1.1'], 'h2', 'h2:x'],
    [['http/1.1'], 'http/1.1', 'h1:x'],
    [undefined, false, 'h1:x'],
  ])('%j speaks %s', async (ALPNProtocols, chosen, answer) => {
    const { port } = await start()
    const socket = await shaken(port, ALPNProtocols === undefined ? {} : { ALPNProtocols })
    expect(socket.alpnProtocol).toBe(chosen)
    expect(await ask(socket)).toBe(answer)
    socket.destroy()
  })

  test('offers no h2 where the listener has it off', async () => {
    const { port } = await start({}, { options: { http2: false } })
    const socket = await shaken(port, { ALPNProtocols: ['h2', 'http/1.1'] })
    expect(socket.alpnProtocol).toBe('http/1.1')
    socket.destroy()
  })

  test('refuses a client that speaks neither', async () => {
    const { port, listener } = await start()
    expect(await shake(port, { ALPNProtocols: ['spdy/3'] })).toBeInstanceOf(Error)
    await eventually(() => listener.stats.handshakeFailed === 1 && listener.connections === 0)
  })
})

describe('presets', () => {
  test.each([
    ['modern', 'TLSv1.3', true],
    ['modern', 'TLSv1.2', false],
    ['intermediate', 'TLSv1.3', true],
    ['intermediate', 'TLSv1.2', true],
  ] as const)('%s: %s %s', async (preset, version, served) => {
    const { port, http1 } = await start({ preset })
    const result = await shake(port, { minVersion: version, maxVersion: version })
    expect(result instanceof Error).toBe(!served)
    if (!(result instanceof Error)) {
      expect(await ask(result)).toBe('h1:x')
      expect(http1.accepted[0]?.tls).toMatchObject({ version, serverName: 'first.example', resumed: false })
      result.destroy()
    }
  })

  test.each([
    ['ECDHE-ECDSA-AES128-GCM-SHA256', true],
    ['ECDHE-ECDSA-CHACHA20-POLY1305', true],
    ['ECDHE-ECDSA-AES128-SHA', false],
    ['ECDHE-ECDSA-AES128-SHA256', false],
    ['ECDHE-ECDSA-AES128-CCM', false],
    ['AES128-GCM-SHA256', false],
    ['DHE-RSA-AES128-GCM-SHA256', false],
  ])('TLS 1.2 with %s: %s', async (ciphers, served) => {
    const { port } = await start()
    const result = await shake(port, { ciphers, maxVersion: 'TLSv1.2' })
    expect(result instanceof Error).toBe(!served)
    if (!(result instanceof Error)) result.destroy()
  })

  test("the server's order of suites counts", async () => {
    const { port } = await start()
    const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256'
    const socket = await shaken(port, { ciphers, maxVersion: 'TLSv1.2' })
    expect(socket.getCipher().name).toBe('ECDHE-ECDSA-AES128-GCM-SHA256')
    socket.destroy()
  })

  test('a renegotiation is refused', async () => {
    const { port } = await start()
    const socket = await shaken(port, { maxVersion: 'TLSv1.2' })
    const failed = new Promise<unknown>((resolve) => socket.on('error', resolve))
    socket.renegotiate({}, () => {})
    expect(String(await failed)).toMatch(/renegotiation/i)
    socket.destroy()
  })
})

/** The ticket comes after the handshake with TLS 1.3, within it with TLS 1.2. */
async function ticketFrom(port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: authority.cert,
    servername: 'first.example',
    ...options,
  })
  const session = new Promise<Buffer>((resolve, reject) => {
    socket.once('session', resolve)
    socket.once('error', reject)
  })
  await new Promise<void>((resolve) => void socket.once('secureConnect', () => resolve()))
  await ask(socket)
  const ticket = await session
  socket.destroy()
  return ticket
}

describe('tickets', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: another worker with the same key resumes',
    async (maxVersion) => {
      const ticketKey = randomBytes(48)
      const one = await start({}, { deps: { ticketKey } })
      const two = await start({}, { deps: { ticketKey } })
      const session = await ticketFrom(one.port, { maxVersion })
      const socket = await shaken(two.port, { maxVersion, session })
      expect(socket.isSessionReused()).toBe(true)
      await ask(socket)
      expect(two.http1.accepted[0]?.tls?.resumed).toBe(true)
      socket.destroy()
    },
  )

  test('a new key ends old tickets and makes new ones that resume', async () => {
    const { port, listener } = await start()
    const old = await ticketFrom(port)
    listener.setTicketKey(randomBytes(48))
    const socket = await shaken(port, { session: old })
    expect(socket.isSessionReused()).toBe(false)
    socket.destroy()
    const again = await shaken(port, { session: await ticketFrom(port) })
    expect(again.isSessionReused()).toBe(true)
    again.destroy()
  })

  test('tickets live through a swap of certificates', async () => {
    const { port, listener, plan } = await start()
    const session = await ticketFrom(port)
    listener.prepare(plan)()
    const socket = await shaken(port, { session })
    expect(socket.isSessionReused()).toBe(true)
    socket.destroy()
  })

  test('a ticket from a listener without client certificates does not resume where one is required', async () => {
    const ticketKey = randomBytes(48)
    const lax = await start({}, { deps: { ticketKey } })
    const strict = await start({ clientAuth: 'require' }, { deps: { ticketKey } })
    const session = await ticketFrom(lax.port)
    const socket = await shake(strict.port, { session })
    if (!(socket instanceof Error)) await closed(socket)
    expect(strict.http1.accepted).toHaveLength(0)
  })

  test('a resumed session keeps its verified client', async () => {
    const { port, http1 } = await start({ clientAuth: 'require' })
    const session = await ticketFrom(port, alice)
    const socket = await shaken(port, { session, ...alice })
    await ask(socket)
    expect(socket.isSessionReused()).toBe(true)
    expect(http1.accepted[1]?.tls?.clientCertificate).toEqual(http1.accepted[0]?.tls?.clientCertificate)
    expect(http1.accepted[1]?.tls?.clientCertificate?.verified).toBe(true)
    socket.destroy()
  })
})

describe('client certificates', () => {
  const versions = ['TLSv1.2', 'TLSv1.3'] as const

  test.each(versions)('%s: a verified client comes in with subject and fingerprint', async (maxVersion) => {
    const { port, http1 } = await start({ clientAuth: 'require' })
    const socket = await shaken(port, { maxVersion, ...alice })
    expect(await ask(socket)).toBe('h1:x')
    expect(http1.accepted[0]?.tls?.clientCertificate).toEqual({
      verified: true,
      subject: 'CN=alice,O=M\\C3\\BCller\\, S\\C3\\B6hne,C=DE',
      fingerprint: new X509Certificate(alice.cert).fingerprint256.replaceAll(':', '').toLowerCase(),
    })
    socket.destroy()
  })

  test.each(versions)(
    '%s: "require" lets nobody in without one, nor with one of another authority',
    async (maxVersion) => {
      const { port, http1, listener } = await start({ clientAuth: 'require' })
      for (const pair of [{}, mallory]) {
        const socket = await shake(port, { maxVersion, ...pair })
        // With TLS 1.3 the client learns of it after its own end of the handshake.
        if (!(socket instanceof Error)) await closed(socket)
      }
      expect(http1.accepted).toHaveLength(0)
      await eventually(() => listener.connections === 0)
    },
  )

  test('"request" lets everybody in and says who was verified', async () => {
    const { port, http1 } = await start({ clientAuth: 'request' })
    for (const pair of [{}, mallory, alice]) {
      const socket = await shaken(port, pair)
      await ask(socket)
      socket.destroy()
    }
    expect(http1.accepted.map((connection) => connection.tls?.clientCertificate?.verified)).toEqual([
      undefined,
      false,
      true,
    ])
  })

  test('"none" asks for none', async () => {
    const { port, http1 } = await start()
    const socket = await shaken(port, alice)
    await ask(socket)
    expect(http1.accepted[0]?.tls?.clientCertificate).toBeUndefined()
    socket.destroy()
  })
})

describe('a swap of certificates', () => {
  test('serves new handshakes with the new ones, default included, and drops nobody', async () => {
    const { port, listener, plan } = await start()
    const before = await shaken(port)
    const renewed = await makeServerCertificate(['first.example'], authority)
    listener.prepare({ ...plan, material: { certificates: [asPem(renewed)], clientCa: undefined } })()
    const serial = new X509Certificate(renewed.cert).serialNumber
    for (const servername of ['first.example', 'unknown.example']) {
      const after = await shaken(port, { servername, checkServerIdentity: () => undefined })
      expect(after.getPeerX509Certificate()?.serialNumber).toBe(serial)
      after.destroy()
    }
    expect(await ask(before)).toBe('h1:x')
    before.destroy()
  })

  test('a bad one throws and changes nothing', async () => {
    const { port, listener, plan } = await start()
    const torn = { ...asPem(first), key: second.key }
    expect(() =>
      listener.prepare({ ...plan, material: { certificates: [torn], clientCa: undefined } }),
    ).toThrow('test.key: the key does not belong to the certificate test.pem')
    const socket = await shaken(port)
    expect(await ask(socket)).toBe('h1:x')
    socket.destroy()
  })
})

describe('the handshake', () => {
  test('has the handshake timeout, however busily the client drips', async () => {
    const clock = new ManualClock()
    const { port, listener, table } = await start({}, { clock })
    const client = await connectTo(port)
    client.write(Buffer.from([0x16, 0x03, 0x01]))
    await eventually(() => clock.pending === 1)
    clock.advance(5_000)
    client.write(Buffer.from([0x02]))
    clock.advance(5_000)
    await closed(client)
    await eventually(() => listener.connections === 0 && table.total() === 0)
    expect(listener.stats).toMatchObject({ handshakeTimedOut: 1, handshakeFailed: 0 })
  })

  test('in time has no timer left behind', async () => {
    const clock = new ManualClock()
    const { port } = await start({}, { clock })
    const socket = await shaken(port)
    expect(await ask(socket)).toBe('h1:x')
    expect(clock.pending).toBe(0)
    socket.destroy()
  })

  test.each([
    ['plain HTTP', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['noise', '\x16\x03\x01\x00\x05hello and more of it'],
  ])('fails on %s and costs nobody else anything', async (_, bytes) => {
    const { port, listener } = await start()
    const client = await connectTo(port)
    client.write(bytes, 'latin1')
    await closed(client)
    await eventually(() => listener.stats.handshakeFailed === 1 && listener.connections === 0)
    const socket = await shaken(port)
    expect(await ask(socket)).toBe('h1:x')
    socket.destroy()
  })

  test.each([
    ['before the first byte', Buffer.alloc(0)],
    ['half-way', Buffer.from([0x16, 0x03, 0x01])],
  ])('given up by the client %s ends at once', async (_, bytes) => {
    const { port, listener, table } = await start({}, { clock: new ManualClock() })
    const client = await connectTo(port)
    client.end(bytes)
    await closed(client)
    await eventually(() => listener.connections === 0 && table.total() === 0)
    expect(listener.stats.handshakeFailed).toBe(1)
  })

  test('behind it a half-closed client still gets its answer', async () => {
    const { port } = await start()
    const socket = await shaken(port, { allowHalfOpen: true } as ConnectionOptions)
    socket.end('last words')
    expect(await readUntil(socket, () => false)).toBe('h1:last words')
  })

  test('given up by a reset leaves nothing behind', async () => {
    const { port, listener, table } = await start()
    const client = await connectTo(port)
    client.write(Buffer.from([0x16, 0x03, 0x01]))
    await eventually(() => listener.connections === 1)
    client.resetAndDestroy()
    await eventually(() => listener.connections === 0 && table.total() === 0)
  })
})

test('destroy cuts connections in the handshake and behind it', async () => {
  const { port, listener, http1 } = await start()
  const waiting = await connectTo(port)
  const socket = await shaken(port)
  await ask(socket)
  await listener.close()
  listener.destroy()
  await closed(waiting)
  await closed(socket)
  await eventually(() => listener.connections === 0 && http1.connections === 0)
})
