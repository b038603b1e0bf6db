import { type FSWatcher, watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock, Timer } from '../clock.ts'
import { reason } from '../errors.ts'
import type { Logger } from '../log.ts'
import {
  CertificateError,
  type CertificatePem,
  checkAuthority,
  inspectCertificate,
  type TlsMaterial,
} from './certificates.ts'
import type { CertificateFiles, TlsOptions } from './options.ts'

/**
 * Reads certificate files and watches them, in the main thread; workers get what comes out as text.
 * A file that cannot be used changes nothing: the certificates in use stay, and the log says why.
 * Memory: the text of the files, at most 1 MiB each.
 */

const maxFileBytes = 1024 * 1024
/** Writers replace certificate and key one after the other; both should be there before we look. */
const settleMs = 300
/** Network file systems and some mounts send no events. */
const pollMs = 30_000

/**
 * Reads and checks everything that one TLS listener needs. `developmentCertificate` is asked for when no certificate is
 * configured. Throws CertificateError.
 */
export async function loadTlsMaterial(
  options: TlsOptions,
  developmentCertificate: () => Promise<CertificateFiles>,
): Promise<TlsMaterial> {
  const files = options.certificates.length > 0 ? options.certificates : [await developmentCertificate()]
  const certificates: CertificatePem[] = []
  for (const { certFile, keyFile, names } of files) {
    const pem = { cert: await readPem(certFile), key: await readPem(keyFile), names, certFile, keyFile }
    inspectCertificate(pem)
    certificates.push(pem)
  }
  let clientCa: string | undefined
  if (options.clientCaFile !== undefined) {
    clientCa = await readPem(options.clientCaFile)
    checkAuthority(clientCa, options.clientCaFile)
  }
  return { certificates, clientCa }
}

/** Warnings about certificates that are, or soon will be, past their time. One line each. */
export function expiryWarnings(material: TlsMaterial, wallMs: number): string[] {
  const warnings: string[] = []
  for (const pem of material.certificates) {
    const days = Math.floor((inspectCertificate(pem).notAfterMs - wallMs) / 86_400_000)
    if (days < 0) warnings.push(`${pem.certFile}: the certificate has expired`)
    else if (days < 14) warnings.push(`${pem.certFile}: the certificate expires in ${days} days`)
  }
  return warnings
}

async function readPem(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > maxFileBytes)
      throw new CertificateError(`${file}: larger than ${maxFileBytes} bytes`)
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof CertificateError) throw error
    throw new CertificateError(`${file}: cannot be read: ${reason(error)}`)
  }
}

export interface FileWatch {
  /** Resolves once every look begun so far is over. */
  idle(): Promise<void>
  stop(): void
}

/**
 * Resolves once the files' present state is known; from then on calls `changed` after any of `files` was written, replaced or re-linked, once things have been quiet for 300 ms.
 * Calls never overlap; what `changed` rejects with is logged. Watches the folders, because files are usually replaced by
 * renaming, and looks every 30 s by itself.
 */
export async function watchFiles(
  files: readonly string[],
  deps: { readonly clock: Clock; readonly logger: Logger },
  changed: () => Promise<void>,
): Promise<FileWatch> {
  const { clock, logger } = deps
  const watchers: FSWatcher[] = []
  let settling: Timer | undefined
  let stopped = false
  let known = await signature(files)

  const apply = async (): Promise<void> => {
    const text = await signature(files)
    if (stopped || text === known) return
    known = text
    try {
      await changed()
    } catch (error) {
      logger.error('certificate change not applied, the old certificate stays', { reason: reason(error) })
    }
  }
  // `apply` never rejects.
  let work: Promise<void> = Promise.resolve()
  const look = (): void => {
    work = work.then(apply)
  }
  const stir = (): void => {
    settling?.cancel()
    if (!stopped) settling = clock.after(settleMs, look)
  }

  for (const folder of new Set(files.map((file) => dirname(file)))) {
    try {
      const watcher = watch(folder, { persistent: false }, stir)
      watcher.on('error', (error) =>
        logger.debug('folder no longer watched', { folder, reason: reason(error) }),
      )
      watchers.push(watcher)
    } catch (error) {
      logger.debug('folder cannot be watched, polling only', { folder, reason: reason(error) })
    }
  }
  const poll = clock.every(pollMs, look)
  return {
    idle: () => work,
    stop() {
      stopped = true
      settling?.cancel()
      poll.cancel()
      for (const watcher of watchers) watcher.close()
    },
  }
}

/** Changes whenever one of the files does; follows links, so that re-pointing one counts. */
async function signature(files: readonly string[]): Promise<string> {
  const marks = files.map(async (file) => {
    const facts = await stat(file).catch(() => undefined)
    return facts === undefined ? '-' : `${facts.ino}:${facts.size}:${facts.mtimeMs}:${facts.ctimeMs}`
  })
  return (await Promise.all(marks)).join(' ')
}

/** Every file that a listener's TLS depends on. */
export function filesOf(material: TlsMaterial, options: TlsOptions): string[] {
  const files = material.certificates.flatMap((pem) => [pem.certFile, pem.keyFile])
  if (options.clientCaFile !== undefined) files.push(options.clientCaFile)
  return files
}
