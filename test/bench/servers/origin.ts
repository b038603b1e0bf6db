import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Program } from '../processes.ts'
import { nginxProgram, nginxVersion } from './nginx.ts'
import { smallBody } from './peer.ts'

/**
 * The app behind the proxies: plain HTTP/1.1, kept alive for as long as they like. `/10k` and `/1m` answer
 * with that many bytes, everything else with 100. nginx where it is installed, since it leaves most of the
 * core to the load generator.
 */
export function originProgram(folder: string, port: number): Program {
  if (nginxVersion() === undefined) {
    return { command: process.execPath, args: [join(import.meta.dirname, 'bare/origin.ts'), String(port)] }
  }
  writeFileSync(join(folder, '10k'), 'x'.repeat(originBytes['/10k']))
  writeFileSync(join(folder, '1m'), 'x'.repeat(originBytes['/1m']))
  return nginxProgram(
    folder,
    1,
    `
  access_log off;
  open_file_cache max=16;
  server {
    listen 127.0.0.1:${port};
    default_type text/plain;
    root ${folder};
    location = /10k { }
    location = /1m { }
    location / { return 200 "${smallBody}"; }
  }`,
  )
}

export const originBytes = { '/10k': 10 * 1024, '/1m': 1024 * 1024 } as const

export function originVersion(): string {
  return nginxVersion() ?? `node ${process.version}`
}
