/**
 * Frames that cost the client next to nothing and us something. Each kind has a bucket: so many at once, so many a second
 * for good. A client that is only lively stays far below; one that overflows a bucket loses its connection.
 * CVE-2019-9511 to 9518, CVE-2023-44487 (rapid reset), CVE-2024-27316 (CONTINUATION), CVE-2025-8671 (made you reset).
 */
export type FloodKind = 'reset' | 'settings' | 'ping' | 'priority' | 'emptyData' | 'tinyWindow' | 'unknown'

export interface FloodBudget {
  readonly burst: number
  readonly perSecond: number
}

export const floodBudgets: Readonly<Record<FloodKind, FloodBudget>> = {
  // Streams the client resets, or makes us reset, beyond those that were served to their end. A browser that leaves a page may
  // drop all of its streams (100) at once.
  reset: { burst: 150, perSecond: 10 },
  settings: { burst: 50, perSecond: 5 },
  // gRPC clients measure the bandwidth with one ping a round trip.
  ping: { burst: 500, perSecond: 50 },
  // Firefox and old Chrome send one or two a stream.
  priority: { burst: 500, perSecond: 100 },
  emptyData: { burst: 100, perSecond: 10 },
  // Some clients give back every few bytes of an event stream.
  tinyWindow: { burst: 1000, perSecond: 100 },
  unknown: { burst: 500, perSecond: 50 },
}

/** WINDOW_UPDATE increments below this count as `tinyWindow`. */
export const tinyWindowBytes = 256
/** CONTINUATION frames of one header block. Eight full ones hold 128 KiB, which no honest header needs. */
export const maxContinuations = 8

/** The counters of one connection: seven numbers. */
export class FloodLimits {
  readonly #levels: Record<FloodKind, number> = {
    reset: 0,
    settings: 0,
    ping: 0,
    priority: 0,
    emptyData: 0,
    tinyWindow: 0,
    unknown: 0,
  }

  /** Counts one frame; false when its bucket overflows. */
  take(kind: FloodKind): boolean {
    this.#levels[kind] += 1
    return this.#levels[kind] <= floodBudgets[kind].burst
  }

  /** A stream was served to its end, which pays for one that was not. */
  credit(kind: FloodKind): void {
    if (this.#levels[kind] > 0) this.#levels[kind] -= 1
  }

  /** Called by the engine's sweep. */
  drain(elapsedMs: number): void {
    for (const kind of kinds) {
      const level = this.#levels[kind]
      if (level > 0)
        this.#levels[kind] = Math.max(0, level - (floodBudgets[kind].perSecond * elapsedMs) / 1000)
    }
  }
}

const kinds = Object.keys(floodBudgets) as FloodKind[]
