import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeServerCertificate } from '../support/certificates.ts'
import type { CertificateFiles } from './servers/peer.ts'

/** One self-signed P-256 certificate for all servers of a run. */
export async function writeCertificate(folder: string): Promise<CertificateFiles> {
  const { cert, key } = await makeServerCertificate(['localhost', '127.0.0.1'])
  const files = {
    certFile: join(folder, 'bench.pem'),
    keyFile: join(folder, 'bench.key'),
    bothFile: join(folder, 'bench-both.pem'),
  }
  await writeFile(files.certFile, cert)
  await writeFile(files.keyFile, key, { mode: 0o600 })
  await writeFile(files.bothFile, `${cert.trim()}\n${key.trim()}\n`, { mode: 0o600 })
  return files
}
