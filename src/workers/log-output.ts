import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { type FileSink, fileSink } from '../observe/file-sink.ts'
import type { LogSink } from '../observe/log-sink.ts'
import type { AccessLogOptions } from '../observe/options.ts'
import { type LogBatch, relayBatch } from '../observe/relay-sink.ts'

/**
 * Where the workers' access logs come together: the sink that the configuration names, changed by reloads, or one that
 * was handed in, which stays.
 */
export class LogOutput {
  readonly #deps: { readonly clock: Clock; readonly logger: Logger }
  readonly #given: LogSink | undefined
  #file: FileSink | undefined
  #path: string | undefined

  constructor(deps: { readonly clock: Clock; readonly logger: Logger }, given: LogSink | undefined) {
    this.#deps = deps
    this.#given = given
  }

  /**
   * Opens what `options` ask for and returns the switch to it, or a way to forget it. Throws the system's error when a
   * file cannot be opened; nothing has changed then.
   */
  prepare({ format, path }: AccessLogOptions): { commit(): void; abandon(): void } {
    if (this.#given !== undefined || format === 'off') return { commit() {}, abandon() {} }
    if (path === this.#path) return { commit: () => this.reopen(), abandon() {} }
    const file = fileSink({ path, ...this.#deps })
    return {
      commit: () => {
        void this.#file?.close()
        this.#file = file
        this.#path = path
      },
      abandon: () => void file.close(),
    }
  }

  /** For log rotation. */
  reopen(): void {
    this.#file?.reopen()
  }

  /** `taken` is called once the batch was written or dropped. */
  write(batch: LogBatch, taken: (size: number) => void): void {
    const sink = this.#given ?? this.#file
    if (sink === undefined) taken(batch.bytes.byteLength)
    else relayBatch(batch, sink, taken)
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}
