/** Where access log lines go, in batches. A sink is bounded, never stalls its caller and never throws. */
export interface LogSink {
  /** `text` holds `lines` whole lines. `done` is called once it was written or dropped, maybe at once. */
  write(text: string, lines: number, done?: () => void): void
  /** Counts lines that were dropped on their way here. */
  drop(lines: number): void
  /** Lines dropped so far, because the sink was full, slow or broken. */
  readonly dropped: number
  /** Ends the writing; settles when all is written, or after a second at the latest. */
  close(): Promise<void>
}

/** Characters that a sink holds before it drops what comes. Access logs are ASCII but for odd header values. */
export const maxOutstanding = 1_048_576
