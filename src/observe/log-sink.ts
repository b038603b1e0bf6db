/** Where access log lines go, in batches. A sink is bounded, never stalls its caller and never throws. */
export interface LogSink {
  /**
   * `bytes` holds `lines` whole lines in UTF-8, in an ArrayBuffer of its own that the sink may keep or hand on.
   * `done` is called once it was written or dropped, maybe at once.
   */
  write(bytes: Uint8Array<ArrayBuffer>, lines: number, done?: () => void): void
  /** Counts lines that were dropped on their way here. */
  drop(lines: number): void
  /** Lines dropped so far, because the sink was full, slow or broken. */
  readonly dropped: number
  /** Ends the writing; settles when all is written, or after a second at the latest. */
  close(): Promise<void>
}

/** Bytes that a sink holds before it drops what comes. */
export const maxOutstanding = 1_048_576
