import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect as http2Connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One HTTP/1.1 request on a connection of its own; any certificate will do. Rejects when the answer is cut. */
export function ask(url: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false, rejectUnauthorized: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (text += piece))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** The same over HTTP/2. */
export function askHttp2(url: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  const { origin, pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const session = http2Connect(origin, { rejectUnauthorized: false })
    session.on('error', reject)
    const stream = session.request(
      { ':method': method, ':path': pathname + search, ...headers },
      { endStream: body === undefined },
    )
    let answered: IncomingHttpHeaders & { ':status'?: number | undefined } = {}
    let text = ''
    stream.on('response', (fields) => {
      answered = fields
    })
    stream.setEncoding('utf8')
    stream.on('data', (piece: string) => (text += piece))
    stream.on('error', reject)
    stream.on('end', () => {
      session.close()
      resolve({ status: answered[':status'] ?? 0, headers: answered, body: text })
    })
    if (body !== undefined) stream.end(body)
  })
}
