import type { HeaderEdits } from '../exchange.ts'
import { removeField, setField } from '../http/fields.ts'

/** Edits `headers` in place: remove, then set, then add. */
export function applyEdits(headers: string[], edits: HeaderEdits): void {
  for (const name of edits.remove) removeField(headers, name)
  for (let i = 0; i < edits.set.length; i += 2)
    setField(headers, edits.set[i] as string, edits.set[i + 1] as string)
  for (const part of edits.add) headers.push(part)
}

const framing = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * True for names that edits may touch. Framing and hop-by-hop fields are the gateway's own: a route that could set
 * them could make two parties disagree on where a message ends. `Host` has its own option on `proxy`.
 */
export function mayEdit(lowerName: string): boolean {
  return !framing.has(lowerName)
}
