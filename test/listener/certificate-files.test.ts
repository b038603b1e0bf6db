import { mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { expiryWarnings, filesOf, loadTlsMaterial, watchFiles } from '../../src/listener/certificate-files.ts'
import { developmentCertificate } from '../../src/listener/development-certificate.ts'
import type { TlsOptions } from '../../src/listener/options.ts'
import { silentLogger } from '../../src/log.ts'
import { makeAuthority, makeServerCertificate, type TestCertificate } from '../support/certificates.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { eventually } from '../support/open-listener.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-certificates-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const noDevelopment = (): Promise<never> => Promise.reject(new Error('not wanted'))

function optionsFor(name = 'a', more: Partial<TlsOptions> = {}): TlsOptions {
  return {
    preset: 'modern',
    certificates: [
      { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`), names: undefined },
    ],
    clientAuth: 'none',
    clientCaFile: undefined,
    ...more,
  }
}

async function store(certificate: TestCertificate, name = 'a'): Promise<void> {
  await writeFile(join(folder, `${name}.pem`), certificate.cert)
  await writeFile(join(folder, `${name}.key`), certificate.key)
}

describe('loading', () => {
  test('reads pairs and the authority', async () => {
    const authority = await makeAuthority()
    const certificate = await makeServerCertificate(['a.example'], authority)
    await store(certificate)
    const clientCaFile = join(folder, 'ca.pem')
    await writeFile(clientCaFile, authority.cert)
    const options = optionsFor('a', { clientAuth: 'require', clientCaFile })
    const material = await loadTlsMaterial(options, noDevelopment)
    expect(material.certificates[0]).toMatchObject(certificate)
    expect(material.clientCa).toBe(authority.cert)
    expect(filesOf(material, options)).toEqual([join(folder, 'a.pem'), join(folder, 'a.key'), clientCaFile])
    // The test certificate lasts 90 days.
    const dayMs = 86_400_000
    expect(expiryWarnings(material, Date.now())).toEqual([])
    expect(expiryWarnings(material, Date.now() + 80 * dayMs)[0]).toMatch(
      /a\.pem: the certificate expires in 9 days/,
    )
    expect(expiryWarnings(material, Date.now() + 91 * dayMs)[0]).toMatch(
      /a\.pem: the certificate has expired/,
    )
  })

  test('names the file that is missing', async () => {
    await expect(loadTlsMaterial(optionsFor('gone'), noDevelopment)).rejects.toThrow(
      /gone\.pem: cannot be read: ENOENT/,
    )
  })

  test('takes the development certificate when none is configured', async () => {
    const options = optionsFor('a', { certificates: [] })
    const material = await loadTlsMaterial(options, () => developmentCertificate(folder, systemClock))
    expect(new X509Certificate(material.certificates[0]?.cert ?? '').subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    )
  })
})

describe('watching', () => {
  // Time is ours, events are the system's: the poll makes every case certain, with or without them.
  test.each<[string, () => Promise<void>]>([
    ['written anew', () => writeFile(join(folder, 'a.pem'), 'second, longer')],
    [
      'replaced by renaming',
      async () => {
        await writeFile(join(folder, 'new'), 'other')
        await rename(join(folder, 'new'), join(folder, 'a.pem'))
      },
    ],
    [
      'pointed elsewhere by a link',
      async () => {
        await writeFile(join(folder, 'b.pem'), 'other file')
        await symlink(join(folder, 'b.pem'), join(folder, 'link'))
        await rename(join(folder, 'link'), join(folder, 'a.pem'))
      },
    ],
  ])('a file that was %s is reported once', async (_, change) => {
    const clock = new ManualClock()
    await writeFile(join(folder, 'a.pem'), 'first')
    let changes = 0
    const watch = await watchFiles([join(folder, 'a.pem')], { clock, logger: silentLogger }, () => {
      changes += 1
      return Promise.resolve()
    })
    await change()
    clock.advance(30_000)
    await eventually(() => changes === 1)
    clock.advance(60_000)
    await watch.idle()
    expect(changes).toBe(1)
    watch.stop()
    expect(clock.pending).toBe(0)
  })

  test('an event is enough, once things have been quiet', async () => {
    const clock = new ManualClock()
    await writeFile(join(folder, 'a.pem'), 'first')
    let changes = 0
    const watch = await watchFiles([join(folder, 'a.pem')], { clock, logger: silentLogger }, () => {
      changes += 1
      return Promise.resolve()
    })
    await writeFile(join(folder, 'a.pem'), 'second')
    // The poll is one timer, the event another.
    await eventually(() => clock.pending === 2)
    clock.advance(300)
    await eventually(() => changes === 1)
    watch.stop()
  })

  test('what fails is logged and tried again with the next change', async () => {
    const clock = new ManualClock()
    await writeFile(join(folder, 'a.pem'), 'first')
    const logged: string[] = []
    let calls = 0
    const watch = await watchFiles(
      [join(folder, 'a.pem')],
      {
        clock,
        logger: {
          ...silentLogger,
          error: (message, fields) => void logged.push(`${message}: ${fields?.['reason']}`),
        },
      },
      () => {
        calls += 1
        return calls === 1 ? Promise.reject(new Error('half written')) : Promise.resolve()
      },
    )
    await writeFile(join(folder, 'a.pem'), 'half')
    clock.advance(30_000)
    await eventually(() => logged.length === 1)
    expect(logged).toEqual(['certificate change not applied, the old certificate stays: half written'])
    await writeFile(join(folder, 'a.pem'), 'whole now')
    clock.advance(30_000)
    await eventually(() => calls === 2)
    watch.stop()
  })
})

describe('the development certificate', () => {
  test('is made once, modern and private, and kept', async () => {
    const files = await developmentCertificate(join(folder, 'certs'), systemClock)
    const [first] = (await loadTlsMaterial({ ...optionsFor(), certificates: [files] }, noDevelopment))
      .certificates
    const certificate = new X509Certificate(first?.cert ?? '')
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(certificate.ca).toBe(false)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
    expect(certificate.checkIP('::1')).toBe('::1')
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000
    expect(days).toBeLessThanOrEqual(397)
    // ecdsa-with-SHA256, 1.2.840.10045.4.3.2
    expect(certificate.raw.includes(Buffer.from('06082a8648ce3d040302', 'hex'))).toBe(true)
    expect((await stat(files.keyFile)).mode & 0o777).toBe(0o600)
    await developmentCertificate(join(folder, 'certs'), systemClock)
    const [second] = (await loadTlsMaterial({ ...optionsFor(), certificates: [files] }, noDevelopment))
      .certificates
    expect(second?.cert).toBe(first?.cert)
  })

  test.each([
    ['is renewed within 7 days of its end', 391, true],
    ['is left alone before', 388, false],
    ['is renewed when the clock stands before its beginning', -2, true],
  ])('%s', async (_, daysLater, renewed) => {
    const dayMs = 86_400_000
    const clock = new ManualClock(Date.now())
    const files = await developmentCertificate(folder, clock)
    const serial = async (): Promise<string> => {
      const material = await loadTlsMaterial({ ...optionsFor(), certificates: [files] }, noDevelopment)
      return new X509Certificate(material.certificates[0]?.cert ?? '').serialNumber
    }
    const before = await serial()
    await developmentCertificate(folder, new ManualClock(Date.now() + daysLater * dayMs))
    expect((await serial()) !== before).toBe(renewed)
  })

  test('made by several at once is one valid pair', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () => developmentCertificate(folder, systemClock)),
    )
    const texts = await Promise.all(
      all.map((files) => loadTlsMaterial({ ...optionsFor(), certificates: [files] }, noDevelopment)),
    )
    expect(new Set(texts.map((material) => material.certificates[0]?.cert)).size).toBe(1)
  })

  test('replaces a pair that does not fit together', async () => {
    await store(await makeServerCertificate(['a.example']), 'localhost')
    await writeFile(join(folder, 'localhost.key'), (await makeServerCertificate(['b.example'])).key)
    const files = await developmentCertificate(folder, systemClock)
    await expect(
      loadTlsMaterial({ ...optionsFor(), certificates: [files] }, noDevelopment),
    ).resolves.toBeDefined()
  })

  test('says in one line when the folder cannot be had', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(developmentCertificate(join(folder, 'file', 'certs'), systemClock)).rejects.toThrow(
      /certs: cannot store the development certificate: ENOTDIR[^\n]*$/,
    )
  })
})
