import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bind, ListenError, probePort } from '../../src/listener/bind.ts'
import { openTestListener, readUntil } from '../support/open-listener.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-bind-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const ignore = (): void => {}

describe('a TCP address', () => {
  test('is shared by the listeners of one gateway', async () => {
    const port = await probePort({ kind: 'tcp', host: '127.0.0.1', port: 0 })
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const
    const one = await bind(address, ignore, ignore)
    const two = await bind(address, ignore, ignore)
    one.close()
    two.close()
  })

  test('that another process listens on is noticed by the probe, reusePort or not', async () => {
    const address = {
      kind: 'tcp',
      host: '127.0.0.1',
      port: await probePort({ kind: 'tcp', host: '127.0.0.1', port: 0 }),
    } as const
    const server = await bind(address, ignore, ignore)
    await expect(probePort(address)).rejects.toThrow(
      `cannot listen on 127.0.0.1:${address.port}: the address is already in use`,
    )
    await expect(probePort(address)).rejects.toBeInstanceOf(ListenError)
    server.close()
  })

  test('that the machine does not have is one clear line', async () => {
    await expect(bind({ kind: 'tcp', host: '192.0.2.1', port: 0 }, ignore, ignore)).rejects.toThrow(
      'cannot listen on 192.0.2.1:0: this machine has no such address',
    )
  })

  test('without a host serves IPv4 too', async () => {
    const { listener, port, http1 } = await openTestListener({
      options: { address: { kind: 'tcp', host: undefined, port: 0 } },
    })
    const client = connect({ host: '127.0.0.1', port })
    client.write('x')
    expect(await readUntil(client, (text) => text !== '')).toBe('h1:x')
    expect(http1.accepted[0]?.remoteAddress).toBe('127.0.0.1')
    await listener.close()
    listener.destroy()
  })
})

describe('a unix socket', () => {
  test('serves, has no client address and goes away when closed', async () => {
    const path = join(folder, 'a.sock')
    const { listener, http1, table } = await openTestListener({
      options: { name: `unix:${path}`, address: { kind: 'unix', path } },
      plan: { limits: { maxConnections: 10, maxConnectionsPerClient: 1 }, admit: () => 'close' },
    })
    for (let i = 0; i < 2; i += 1) {
      const client = connect({ path })
      client.write('x')
      expect(await readUntil(client, (text) => text !== '')).toBe('h1:x')
    }
    expect(http1.accepted[0]).toMatchObject({
      remoteAddress: '',
      remotePort: 0,
      localPort: 0,
      listener: `unix:${path}`,
    })
    expect(table.total()).toBe(2)
    await listener.close()
    listener.destroy()
    expect(existsSync(path)).toBe(false)
  })

  test('is opened by worker 0 only', async () => {
    const path = join(folder, 'a.sock')
    const { listener } = await openTestListener({
      options: { address: { kind: 'unix', path } },
      deps: { worker: 1 },
    })
    expect(existsSync(path)).toBe(false)
    await listener.close()
  })

  test('in use is not taken away from the one who serves it', async () => {
    const address = { kind: 'unix', path: join(folder, 'a.sock') } as const
    const server = await bind(address, (socket) => socket.destroy(), ignore)
    await expect(bind(address, ignore, ignore)).rejects.toThrow(
      `cannot listen on unix:${address.path}: the address is already in use`,
    )
    server.close()
  })

  test('left behind by a process that died is replaced', async () => {
    const address = { kind: 'unix', path: join(folder, 'a.sock') } as const
    const died = spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(address.path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ])
    expect(died.signal).toBe('SIGKILL')
    expect(existsSync(address.path)).toBe(true)
    const server = await bind(address, ignore, ignore)
    server.close()
  })

  test('never replaces a file that is no socket', async () => {
    const path = join(folder, 'precious')
    await writeFile(path, 'data')
    await expect(bind({ kind: 'unix', path }, ignore, ignore)).rejects.toThrow(
      'the path exists and is no socket',
    )
  })

  test('in a folder that does not exist is one clear line', async () => {
    const path = join(folder, 'none', 'a.sock')
    // Linux says EACCES for a missing folder of a socket; either way the address is named.
    await expect(bind({ kind: 'unix', path }, ignore, ignore)).rejects.toThrow(
      `cannot listen on unix:${path}: `,
    )
  })
})
