import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { smallBody } from '../peer.ts'
import { logAccess, setup, tlsOptions } from './setup.ts'

const body = Buffer.from(smallBody)

const server = createSecureServer(tlsOptions)
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  stream.on('error', () => {})
  stream.resume()
  stream.respond({ ':status': 200, 'content-type': 'text/plain', 'content-length': body.byteLength })
  stream.end(body)
  logAccess(stream.session?.socket.remoteAddress, headers[':method'] ?? '', headers[':path'] ?? '', 200)
})
server.on('sessionError', () => {})
server.on('tlsClientError', () => {})
server.listen(setup.port, '127.0.0.1')
