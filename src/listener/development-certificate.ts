import { randomBytes, X509Certificate } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { reason } from '../errors.ts'
import { CertificateError, inspectCertificate } from './certificates.ts'
import type { CertificateFiles } from './options.ts'

/**
 * The certificate for trying things out: self-signed, for localhost, kept in a folder between runs.
 * The only file that imports `selfsigned`, whose silent defaults are replaced here: it would sign with SHA-1, make RSA
 * keys, ignore `days`, and put no address into the names.
 */
const dayMs = 86_400_000
/** Browsers refuse certificates that are valid for more than 398 days. */
const validForDays = 397
const renewWithinDays = 7
const lockMs = 10_000

/**
 * Returns the files `localhost.pem` and `localhost.key` in `folder`, made or renewed (7 days before the end) when needed.
 * Safe to call from several processes at once: one makes them, the others wait. Throws CertificateError when the folder
 * cannot be written.
 */
export async function developmentCertificate(folder: string, clock: Clock): Promise<CertificateFiles> {
  const certFile = join(folder, 'localhost.pem')
  const keyFile = join(folder, 'localhost.key')
  const files: CertificateFiles = { certFile, keyFile, names: undefined }
  if (await isUsable(certFile, keyFile, clock)) return files
  try {
    await mkdir(folder, { recursive: true })
    await withLock(join(folder, '.localhost.lock'), async () => {
      if (!(await isUsable(certFile, keyFile, clock))) await make(certFile, keyFile, clock)
    })
  } catch (error) {
    throw new CertificateError(`${folder}: cannot store the development certificate: ${reason(error)}`)
  }
  return files
}

async function isUsable(certFile: string, keyFile: string, clock: Clock): Promise<boolean> {
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
    const { notAfterMs } = inspectCertificate({ cert, key, names: undefined, certFile, keyFile })
    return (
      notAfterMs - clock.wallMs() > renewWithinDays * dayMs &&
      Date.parse(new X509Certificate(cert).validFrom) <= clock.wallMs()
    )
  } catch {
    return false
  }
}

async function make(certFile: string, keyFile: string, clock: Clock): Promise<void> {
  const now = clock.wallMs()
  // Only here: it brings 15 MiB along, and most starts find a certificate that is still good.
  const { generate } = await import('selfsigned')
  const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // An hour of grace for clients whose clock is behind.
    notBeforeDate: new Date(now - 3_600_000),
    notAfterDate: new Date(now - 3_600_000 + validForDays * dayMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  })
  await replaceFile(keyFile, `${pems.private.trim()}\n`, 0o600)
  await replaceFile(certFile, `${pems.cert.trim()}\n`, 0o644)
}

/** Written beside and renamed: a reader sees the old file or the new one. The mode holds from the first byte on. */
async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  // Keeps the ending, by which git ignores keys.
  const beside = join(dirname(file), `.${randomBytes(6).toString('hex')}.${basename(file)}`)
  try {
    const handle = await open(beside, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(beside, file)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}

/** A lock file; one that is older than 10 s was left by a process that died. Between processes only the system's time counts. */
async function withLock(file: string, work: () => Promise<void>): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 50) {
    try {
      await (await open(file, 'wx')).close()
      break
    } catch (error) {
      if (!isExists(error) || waitedMs > 2 * lockMs) throw error
    }
    const held = await stat(file).catch(() => undefined)
    if (held !== undefined && Date.now() - held.mtimeMs > lockMs) await rm(file, { force: true })
    else await new Promise<void>((resolve) => void setTimeout(resolve, 50))
  }
  try {
    await work()
  } finally {
    await rm(file, { force: true })
  }
}

function isExists(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
