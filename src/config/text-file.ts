/**
 * YAML and JSON with places: the one file that imports `yaml`.
 * Tamed here: errors as our faults with line and column (all of them, not the first), anchors that would blow up
 * refused, unknown tags and doubled keys refused, several documents in one file refused. Words such as `on` and `yes`
 * stay text, as in YAML 1.2; the merge key `<<` works. JSON goes through the same parser with JSON's scalars; a comment
 * or a trailing comma in it does no harm.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Document } from 'yaml'
import { reason } from '../errors.ts'
import { type ConfigFault, type Locate } from './faults.ts'

export type ParsedText =
  | { readonly ok: true; readonly value: unknown; readonly locate: Locate }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] }

/** Largest file, bytes. Some hundred thousand lines. */
export const maxTextBytes = 8 * 1_048_576
/** How often anchors may be used, all uses within uses counted. */
const maxAliases = 1_000

/** Never throws. An empty document is an empty configuration. */
export function parseText(text: string, format: 'yaml' | 'json'): ParsedText {
  const lines = new LineCounter()
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: true,
      version: '1.2',
      ...(format === 'json' ? { schema: 'json' as const } : { merge: true }),
    })
    const problems = [...document.errors, ...document.warnings]
    if (problems.length > 0) {
      const faults = problems.map(({ message, pos }) => ({
        path: '',
        message: message.replace(/\s+/g, ' '),
        ...place(pos[0]),
      }))
      return { ok: false, faults }
    }
    const value: unknown = document.toJS({ maxAliasCount: maxAliases })
    return { ok: true, value: value ?? {}, locate: (path, key) => place(find(document, path, key)) }
  } catch (error) {
    // Too many aliases, or nesting that exhausts the stack.
    return { ok: false, faults: [{ path: '', message: reason(error) }] }
  }
}

/** Offset of what stands at `path`, or of the nearest thing around it that was written. */
function find(document: Document, path: readonly (string | number)[], key: string | undefined): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const step of path) {
    node = isAlias(node) ? node.resolve(document) : node
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item.key) === String(step))
      if (pair === undefined) return offset
      node = pair.value
      offset = startOf(node) ?? startOf(pair.key) ?? offset
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step]
      offset = startOf(node) ?? offset
    } else return offset
  }
  const inner = isAlias(node) ? node.resolve(document) : node
  if (key === undefined || !isMap(inner)) return offset
  return startOf(inner.items.find((item) => keyOf(item.key) === key)?.key) ?? offset
}

function keyOf(key: unknown): string | undefined {
  return isScalar(key) ? String(key.value) : undefined
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}
