import { openSync, readFileSync, write } from 'node:fs'
import { join } from 'node:path'
import { cipherSuites, type Setup } from '../peer.ts'

/** Read from the one argument that bareProgram passes. */
export const setup = JSON.parse(process.argv[2] ?? '{}') as Setup

export const tlsOptions = {
  cert: readFileSync(setup.certificate.certFile),
  key: readFileSync(setup.certificate.keyFile),
  minVersion: 'TLSv1.2',
  ciphers: `${cipherSuites}:ECDHE+AESGCM`,
  honorCipherOrder: true,
} as const

/** As the other servers hold theirs: idle for 75 s, any number of requests. */
export const keepAliveMs = 75_000

const file = openSync(join(setup.folder, 'access.log'), 'a')
let lines: string[] = []

/** One access line; written every 100 ms, so that the log costs these servers next to nothing. */
export function logAccess(address: string | undefined, method: string, target: string, status: number): void {
  lines.push(`${address ?? '-'} - - [${Date.now()}] "${method} ${target}" ${status}\n`)
}

setInterval(() => {
  if (lines.length === 0) return
  const batch = lines.join('')
  lines = []
  write(file, batch, () => {})
}, 100).unref()
