import type { ServerHttp2Stream } from 'node:http2'

/**
 * Resets a stream so that no END_STREAM can slip out. Node's `close(code)` first ends the writable side, and what was written so
 * far then goes out as a complete answer in place of the RST_STREAM. Without a `_final` there is nothing to end, and once
 * destroyed the stream has no handle left that a write in progress could end. Safe on a stream that is over.
 */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  if (!stream.closed && !stream.destroyed) {
    stream._final = final
    stream.close(code)
  }
  stream.destroy()
}

function final(callback: (error?: Error | null) => void): void {
  callback()
}
