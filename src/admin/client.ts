import { request } from 'node:http'
import type { ListenAddress } from '../net-address.ts'

/** What the admin endpoint said; `body` is its JSON, of unknown shape. */
export interface AdminReply {
  readonly status: number
  readonly body: unknown
}

/** A reply is a few KiB; anything beyond this is not our admin endpoint. */
const maxReplyBytes = 1_048_576

/**
 * Asks a running gateway. Rejects with the system's error when nobody answers at that address, after `timeoutMs`
 * without an answer, and when what answers does not speak JSON.
 */
export function askAdmin(
  address: ListenAddress,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs = 60_000,
): Promise<AdminReply> {
  const where =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: address.host ?? '127.0.0.1', port: address.port }
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...where,
        method,
        path,
        agent: false,
        headers: { Host: 'localhost', 'Content-Length': 0 },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
          if (text.length > maxReplyBytes) response.destroy(new Error('the answer is too long'))
        })
        response.on('error', reject)
        response.on('end', () => {
          const body = parseJson(text)
          if (body === undefined)
            reject(new Error('the answer is not JSON: is this the admin address of a gateway?'))
          else resolve({ status: response.statusCode ?? 0, body })
        })
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
