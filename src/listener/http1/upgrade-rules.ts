import type { RawFields } from '../../http/fields.ts'
import { findField, getField, hasField } from '../../http/fields.ts'

/**
 * Whether a request asks for a WebSocket in the form of RFC 6455 §4.1. Everything else that carries an Upgrade field, `h2c` above all, is
 * served as a plain request and the field goes no further: an upgrade we do not understand is a tunnel past every check.
 */
export function isWebSocketRequest(method: string, httpVersion: string, raw: RawFields): boolean {
  if (method !== 'GET' || httpVersion !== '1.1') return false
  const upgrade = findField(raw, 'upgrade', 0)
  if (upgrade < 0 || findField(raw, 'upgrade', upgrade + 2) >= 0) return false
  if (raw[upgrade + 1]?.toLowerCase() !== 'websocket') return false
  if (!namesToken(raw, 'connection', 'upgrade')) return false
  if (hasField(raw, 'transfer-encoding') || hasField(raw, 'content-length')) return false
  if (getField(raw, 'sec-websocket-version') !== '13') return false
  return isKey(getField(raw, 'sec-websocket-key'))
}

/** 16 bytes in base64. */
function isKey(key: string | undefined): boolean {
  return key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key)
}

function namesToken(raw: RawFields, field: string, token: string): boolean {
  for (let i = findField(raw, field, 0); i >= 0; i = findField(raw, field, i + 2)) {
    for (const part of (raw[i + 1] as string).split(',')) if (part.trim().toLowerCase() === token) return true
  }
  return false
}
