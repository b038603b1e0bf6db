import { parseListenAddress, printListenAddress } from '../net-address.ts'
import { parseDuration } from '../quantities.ts'
import { isEveryone, isTable, list, type Report, table, type Table } from './written.ts'

/** Listeners, TLS and the admin endpoint: part of cross-checks.ts, whose header says how these read. */
export function checkListeners(root: Table, fault: Report, warn: Report): void {
  if (!Array.isArray(root.listeners)) return
  const listeners = list(root.listeners)
  const addresses = new Map<string, number>()
  const anyTls = listeners.some((entry) => hasTls(table(entry)))
  for (const [at, entry] of listeners.entries()) {
    if (!isTable(entry)) continue
    const address = canonicalAddress(entry.address)
    const twin = address === undefined ? undefined : addresses.get(address)
    if (twin !== undefined) fault(['listeners', at, 'address'], `listeners[${twin}] listens there already`)
    else if (address !== undefined) addresses.set(address, at)
    const encrypted = hasTls(entry)
    if (isYes(entry.http2) && !encrypted)
      fault(['listeners', at, 'http2'], 'expected only with TLS: browsers negotiate HTTP/2 there')
    if (isOn(entry.redirectToHttps)) {
      if (encrypted) fault(['listeners', at, 'redirectToHttps'], 'expected only on a listener without TLS')
      else if (!anyTls && table(entry.redirectToHttps).port === undefined) {
        fault(
          ['listeners', at, 'redirectToHttps'],
          'there is no TLS listener to send clients to; name its port: { port: 443 }',
        )
      }
    }
    for (const [place, block] of list(table(entry.proxyProtocol).from).entries()) {
      if (isEveryone(block)) {
        warn(['listeners', at, 'proxyProtocol', 'from', place], 'lets every client name its own address')
      }
    }
  }
  const admin = root.admin === undefined ? '127.0.0.1:2019' : table(root.admin).address
  const clash = addresses.get(canonicalAddress(admin) ?? '')
  if (clash !== undefined) fault(['listeners', clash, 'address'], 'the admin endpoint listens there already')
}

export function checkTls(root: Table, fault: Report, warn: Report): void {
  const tls = table(root.tls)
  const listeners = Array.isArray(root.listeners) ? list(root.listeners) : [{ tls: true }]
  if (wantsClients(tls.clientAuth) && tls.clientCa === undefined) {
    fault(['tls', 'clientAuth'], 'needs clientCa, the authorities that sign client certificates')
  }
  for (const [at, entry] of listeners.entries()) {
    const own = table(table(entry).tls)
    if (wantsClients(own.clientAuth) && own.clientCa === undefined && tls.clientCa === undefined) {
      fault(
        ['listeners', at, 'tls', 'clientAuth'],
        'needs clientCa, the authorities that sign client certificates',
      )
    }
  }
  const anyWants =
    wantsClients(tls.clientAuth) ||
    listeners.some((entry) => wantsClients(table(table(entry).tls).clientAuth))
  if (tls.clientCa !== undefined && !anyWants) warn(['tls', 'clientCa'], 'not used: clientAuth is none')
  if (isTable(tls.hsts)) {
    const { includeSubDomains, preload, maxAge } = tls.hsts
    if (isYes(preload) && !isYes(includeSubDomains))
      fault(['tls', 'hsts', 'preload'], 'needs includeSubDomains')
    if (isYes(preload) && shorterThanAYear(maxAge)) {
      fault(['tls', 'hsts', 'preload'], 'needs a maxAge of at least 365d')
    }
    if (!listeners.some((entry) => hasTls(table(entry))))
      warn(['tls', 'hsts'], 'not used: no listener has TLS')
  }
}

export function checkAdmin(root: Table, fault: Report): void {
  const written = table(root.admin).address
  const address = typeof written === 'string' ? parseListenAddress(written) : undefined
  if (address?.kind !== 'tcp') return
  const host = address.host ?? ''
  if (host !== 'localhost' && host !== '::1' && !host.startsWith('127.')) {
    fault(
      ['admin', 'address'],
      `expected a loopback address or "unix:", got ${JSON.stringify(written)}: whoever reaches it can reload the gateway`,
    )
  }
}

function canonicalAddress(written: unknown): string | undefined {
  const address = typeof written === 'string' ? parseListenAddress(written) : undefined
  // Port 0 asks for any free one, so two of them never meet.
  if (address === undefined || (address.kind === 'tcp' && address.port === 0)) return undefined
  return printListenAddress(address)
}

function hasTls(listener: Table): boolean {
  return isOn(listener.tls)
}

/** true, "true" or an object of settings. */
function isOn(value: unknown): boolean {
  return isYes(value) || isTable(value)
}

function isYes(value: unknown): boolean {
  return value === true || value === 'true'
}

function shorterThanAYear(written: unknown): boolean {
  const maxAgeMs = typeof written === 'string' ? parseDuration(written) : written
  return typeof maxAgeMs === 'number' && maxAgeMs < 365 * 86_400_000
}

function wantsClients(clientAuth: unknown): boolean {
  return clientAuth === 'request' || clientAuth === 'require'
}
