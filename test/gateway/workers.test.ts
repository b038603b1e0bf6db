import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { get } from 'node:http'
import { connect } from 'node:tls'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startOrigin, type TestOrigin } from '../support/demo-origin.ts'
import { makeServerCertificate } from '../support/certificates.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { ask } from '../support/https-client.ts'

let origin: TestOrigin
let running: TestGateway | undefined

beforeEach(async () => {
  origin = await startOrigin()
})

afterEach(async () => {
  await running?.stop()
  running = undefined
  await origin.stop()
})

test('a killed worker comes back, with the others serving meanwhile', async () => {
  running = await startTestGateway({ workers: 2, upstreams: { app: { endpoints: [origin.url] } } })
  const { gateway, url, log } = running
  await gateway.crashWorker(0)
  expect(gateway.readiness).toMatchObject({ state: 'ready', workers: 2, serving: 1 })
  expect((await ask(`${url}/api/time`)).status).toBe(200)
  await vi.waitFor(() => expect(gateway.readiness.serving).toBe(2), 10_000)
  expect(log.map((line) => line.message)).toEqual(expect.arrayContaining(['worker ended', 'worker is back']))
  for (let count = 0; count < 8; count += 1) expect((await ask(`${url}/api/time`)).status).toBe(200)
})

test('connections of a killed worker do not count against the limit any more', async () => {
  running = await startTestGateway({
    workers: 1,
    limits: { connections: 2 },
    upstreams: { app: { endpoints: [origin.url] } },
  })
  const { gateway, url, port } = running
  const held = [0, 1].map(() => connect({ port, host: '127.0.0.1', rejectUnauthorized: false }))
  await Promise.all(
    held.map((socket) => new Promise((resolve) => void socket.once('secureConnect', resolve))),
  )
  for (const socket of held) socket.on('error', () => {})
  await expect(ask(`${url}/api/time`)).rejects.toThrow()
  await gateway.crashWorker(0)
  await vi.waitFor(() => expect(gateway.readiness.serving).toBe(1), 10_000)
  expect((await ask(`${url}/api/time`)).status).toBe(200)
})

test('a unix listener comes back with the worker that has it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-unix-'))
  const path = join(folder, 'gateway.sock')
  running = await startTestGateway({
    workers: 2,
    listeners: [{ address: `unix:${path}` }],
    upstreams: { app: { endpoints: [origin.url] } },
  })
  const { gateway } = running
  expect(await statusOver(path)).toBe(200)
  await gateway.crashWorker(0)
  await vi.waitFor(() => expect(gateway.readiness.serving).toBe(2), 10_000)
  expect(await statusOver(path)).toBe(200)
  await rm(folder, { recursive: true })
})

test('a TLS session resumes on every worker', async () => {
  running = await startTestGateway({ workers: 2, upstreams: { app: { endpoints: [origin.url] } } })
  const { port } = running
  const ticket = await ticketFrom(port)
  let reused = 0
  for (let count = 0; count < 16; count += 1) if (await resumes(port, ticket)) reused += 1
  expect(reused).toBe(16)
})

test('a new certificate is swapped in without a reload, a bad one is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-certs-'))
  const [certFile, keyFile] = [join(folder, 'a.pem'), join(folder, 'a.key')]
  const put = async (name: string): Promise<void> => {
    const made = await makeServerCertificate([name])
    await writeFile(keyFile, made.key)
    await writeFile(certFile, made.cert)
  }
  await put('first.example')
  running = await startTestGateway({
    tls: { certificates: [{ cert: certFile, key: keyFile }] },
    upstreams: { app: { endpoints: [origin.url] } },
  })
  const { port, log } = running
  expect(await nameOf(port)).toBe('DNS:first.example')
  const before = await readFile(certFile, 'utf8')
  await writeFile(certFile, 'not a certificate')
  await vi.waitFor(
    () => expect(log.some((line) => String(line.reason).includes('not a PEM certificate'))).toBe(true),
    5_000,
  )
  expect(await nameOf(port)).toBe('DNS:first.example')
  await writeFile(certFile, before)
  await put('second.example')
  await vi.waitFor(async () => expect(await nameOf(port)).toBe('DNS:second.example'), 5_000)
  await rm(folder, { recursive: true })
})

/** A ticket, once it is there: TLS 1.3 sends it behind the handshake. */
function ticketFrom(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('error', reject)
    socket.once('session', (ticket: Buffer) => {
      resolve(ticket)
      socket.destroy()
    })
    socket.resume()
  })
}

function resumes(port: number, session: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, session }, () => {
      resolve(socket.isSessionReused())
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

function nameOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subjectaltname))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

function statusOver(socketPath: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = get({ socketPath, path: '/api/time', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    sent.on('error', reject)
  })
}
