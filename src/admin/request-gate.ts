import { type RawFields, getField, getFields } from '../http/fields.ts'

/**
 * Who may talk to the admin endpoint: programs on this machine, and pages that the endpoint itself served.
 * A loopback address alone does not keep browsers out: any web page can send requests to it, and with DNS rebinding
 * it can read the answers too. So the Host must be a loopback name, an Origin must be our own, and what changes
 * something must not come from another site. Pure.
 */
export type AdminVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly status: 400 | 403; readonly reason: string }

const allowed: AdminVerdict = { kind: 'allowed' }

/** `overUnixSocket`: file permissions decide who connects, no browser can, and Host means nothing. */
export function judgeAdminRequest(method: string, headers: RawFields, overUnixSocket: boolean): AdminVerdict {
  const hosts = getFields(headers, 'host')
  if (hosts.length !== 1) return refused(400, 'exactly one Host is needed')
  const host = hosts[0] as string
  if (!overUnixSocket && !isLoopbackHost(host)) return refused(403, 'Host is not a loopback address')
  const origins = getFields(headers, 'origin')
  // The endpoint speaks plain HTTP only, so its own pages have this origin and no other.
  if (origins.some((origin) => origin.toLowerCase() !== `http://${host.toLowerCase()}`)) {
    return refused(403, 'request from another origin')
  }
  if (method !== 'GET' && method !== 'HEAD') {
    const site = getField(headers, 'sec-fetch-site')
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      return refused(403, 'request from another site')
    }
  }
  return allowed
}

/** `localhost`, 127.0.0.0/8 or `[::1]`, each with or without a port (any: it may be forwarded). */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d{1,5}$/, '').toLowerCase()
  return (
    name === 'localhost' || name === '[::1]' || /^127(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/.test(name)
  )
}

function refused(status: 400 | 403, reason: string): AdminVerdict {
  return { kind: 'refused', status, reason }
}
