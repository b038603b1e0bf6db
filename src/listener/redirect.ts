import { BadRequestError } from '../errors.ts'
import type { Exchange, GatewayResponse, Handler } from '../exchange.ts'
import type { RedirectOptions } from './options.ts'

/**
 * Sends every request to the same host, path and query on HTTPS. 308 keeps method and body; 301 and 302 let clients turn
 * a POST into a GET. The host is the one that the engine has checked, so no other host can be smuggled into Location; a
 * request without one (HTTP/1.0) is refused with 400.
 */
export function redirectHandler(options: RedirectOptions): Handler {
  const port = options.port === 443 ? '' : `:${options.port}`
  return (exchange: Exchange): GatewayResponse => {
    const { host, target } = exchange.request
    if (host === '') throw new BadRequestError('no Host to redirect to')
    exchange.note('redirect', 'to_https', options.status)
    const location = `https://${host}${port}${target === '*' ? '/' : target}`
    return { status: options.status, headers: ['Location', location], body: undefined, length: 0 }
  }
}
