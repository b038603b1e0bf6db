import { GatewayError } from '../errors.ts'
import type { TraceRecorder } from '../exchange.ts'

/**
 * The decision traces of the last exchanges of one worker: what each stage decided, and how long it took.
 *
 * A ring of `keep` exchanges with 16 entries each, allocated once; an exchange beyond takes the place of the oldest.
 * Entries after the sixteenth are counted, not kept, except the summary at the end. Details are kept by reference until
 * their place is taken again, so what stages note should be small: rule names, verdicts, errors, never bodies or heads.
 */
export interface TraceSummary {
  readonly method: string
  readonly host: string
  /** Without its query. */
  readonly path: string
  readonly route: string | undefined
  readonly client: string
  readonly status: number
  readonly bodyBytes: number
  readonly complete: boolean
  readonly durationMs: number
  /** Wall time of the end, milliseconds since the epoch. */
  readonly endedMs: number
}

export interface TraceEntry {
  readonly stage: string
  readonly outcome: string
  /** Undefined when there was none; at most 500 characters. */
  readonly detail: string | undefined
  readonly nanoseconds: number
}

export interface ReadableTrace {
  readonly id: string
  readonly entries: readonly TraceEntry[]
  /** Entries that found no room. */
  readonly dropped: number
  /** Undefined while the exchange is under way. */
  readonly summary: TraceSummary | undefined
}

const entriesEach = 16
const maxDetail = 500

export class TraceRing implements TraceRecorder {
  readonly #keep: number
  readonly #ids: string[]
  /** Which place-holder stands at a place: places are numbered on and on, so a late note cannot hit a newer exchange. */
  readonly #owner: Float64Array
  readonly #count: Uint16Array
  readonly #stages: string[]
  readonly #outcomes: string[]
  readonly #details: unknown[]
  readonly #nanoseconds: Float64Array
  readonly #summaries: (TraceSummary | undefined)[]
  #next = 0

  /** `keep`: exchanges, 1 or more. Memory: about 500 bytes for each, and what details refer to. */
  constructor(keep: number) {
    this.#keep = keep
    this.#ids = Array.from({ length: keep }, () => '')
    this.#owner = new Float64Array(keep).fill(-1)
    this.#count = new Uint16Array(keep)
    this.#stages = Array.from({ length: keep * entriesEach }, () => '')
    this.#outcomes = Array.from({ length: keep * entriesEach }, () => '')
    this.#details = Array.from({ length: keep * entriesEach }, () => undefined)
    this.#nanoseconds = new Float64Array(keep * entriesEach)
    this.#summaries = Array.from({ length: keep }, () => undefined)
  }

  begin(id: string): number {
    const place = this.#next++
    const slot = place % this.#keep
    // Lets go of what the former exchange referred to, also where the new one leaves fewer entries.
    const base = slot * entriesEach
    const used = Math.min(this.#count[slot] as number, entriesEach)
    for (let i = base; i < base + used; i++) this.#details[i] = undefined
    this.#ids[slot] = id
    this.#owner[slot] = place
    this.#count[slot] = 0
    this.#summaries[slot] = undefined
    return place
  }

  note(place: number, stage: string, outcome: string, detail: unknown, nanoseconds: number): void {
    const slot = place % this.#keep
    if (place < 0 || this.#owner[slot] !== place) return
    if (stage === endStage) {
      this.#summaries[slot] = detail as TraceSummary
      return
    }
    const count = this.#count[slot] as number
    if (count < 0xffff) this.#count[slot] = count + 1
    if (count >= entriesEach) return
    const at = slot * entriesEach + count
    this.#stages[at] = stage
    this.#outcomes[at] = outcome
    this.#details[at] = detail
    this.#nanoseconds[at] = nanoseconds
  }

  /** The newest exchange of that id that is still kept. Linear in `keep`: for people who ask, not for traffic. */
  find(id: string): ReadableTrace | undefined {
    for (let back = 1; back <= this.#keep; back++) {
      const place = this.#next - back
      if (place < 0) return undefined
      const slot = place % this.#keep
      if (this.#ids[slot] === id) return this.#read(slot)
    }
    return undefined
  }

  #read(slot: number): ReadableTrace {
    const count = this.#count[slot] as number
    const entries: TraceEntry[] = []
    for (let i = 0; i < Math.min(count, entriesEach); i++) {
      const at = slot * entriesEach + i
      entries.push({
        stage: this.#stages[at] as string,
        outcome: this.#outcomes[at] as string,
        detail: describe(this.#details[at]),
        nanoseconds: Math.round(this.#nanoseconds[at] as number),
      })
    }
    return {
      id: this.#ids[slot] as string,
      entries,
      dropped: Math.max(0, count - entriesEach),
      summary: this.#summaries[slot],
    }
  }
}

/** Stage name of the note that closes a trace; its detail is a TraceSummary and takes none of the 16 places. */
export const endStage = 'end'

function describe(detail: unknown): string | undefined {
  if (detail === undefined || detail === null) return undefined
  return textOf(detail).slice(0, maxDetail)
}

function textOf(detail: {}): string {
  if (detail instanceof GatewayError) return `${detail.code}: ${detail.message}`
  if (detail instanceof Error) return detail.message
  if (typeof detail === 'string') return detail
  try {
    return JSON.stringify(detail) ?? ''
  } catch {
    return '[unreadable]'
  }
}
