import { createHash } from 'node:crypto'
import { getField, getFields, type RawFields } from '../http/fields.ts'

/** RFC 6455 §1.3. */
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** True when the request asks for WebSocket and nothing else. */
export function asksForWebSocket(request: RawFields): boolean {
  const asked = getFields(request, 'upgrade')
  return asked.length === 1 && (asked[0] as string).toLowerCase() === 'websocket'
}

/**
 * True when the origin's 101 answers this very request: Sec-WebSocket-Accept is derived from the client's key
 * (RFC 6455 §4.2.2). A cache or a confused origin that answers 101 to anything does not open a tunnel.
 */
export function acceptsKey(request: RawFields, response: RawFields): boolean {
  const key = getField(request, 'sec-websocket-key')
  const accepted = getFields(response, 'sec-websocket-accept')
  if (key === undefined || accepted.length !== 1) return false
  return (
    accepted[0] ===
    createHash('sha1')
      .update(key + guid, 'latin1')
      .digest('base64')
  )
}
