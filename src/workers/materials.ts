import type { Clock } from '../clock.ts'
import type { ResolvedGateway } from '../config/gateway-options.ts'
import { filesOf, loadTlsMaterial } from '../listener/certificate-files.ts'
import type { TlsMaterial } from '../listener/certificates.ts'
import { developmentCertificate } from '../listener/development-certificate.ts'

/**
 * Certificates, keys and authorities of every listener, in their order; undefined where there is no TLS.
 * The development certificate is made in `folder` when a listener has none of its own. Rejects with CertificateError.
 */
export async function loadMaterials(
  config: ResolvedGateway,
  folder: string,
  clock: Clock,
): Promise<(TlsMaterial | undefined)[]> {
  const materials: (TlsMaterial | undefined)[] = []
  for (const { tls } of config.listeners) {
    materials.push(
      tls === undefined ? undefined : await loadTlsMaterial(tls, () => developmentCertificate(folder, clock)),
    )
  }
  return materials
}

/** Every file behind the materials, each once. */
export function materialFiles(
  config: ResolvedGateway,
  materials: readonly (TlsMaterial | undefined)[],
): string[] {
  const files = new Set<string>()
  for (const [at, { tls }] of config.listeners.entries()) {
    const material = materials[at]
    if (tls !== undefined && material !== undefined)
      for (const file of filesOf(material, tls)) files.add(file)
  }
  return [...files]
}
