export interface AccessLogOptions {
  readonly format: 'json' | 'combined' | 'off'
  /** `-` for standard output, else a file that is appended to. */
  readonly path: string
}

export interface TraceOptions {
  /** Exchanges kept by each worker; 0 turns tracing off. */
  readonly keep: number
}
