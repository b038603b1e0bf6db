import { createServer } from 'node:https'
import { smallBody } from '../peer.ts'
import { keepAliveMs, logAccess, setup, tlsOptions } from './setup.ts'

const body = Buffer.from(smallBody)

const server = createServer({ ...tlsOptions, keepAliveTimeout: keepAliveMs }, (request, response) => {
  request.resume()
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.byteLength })
  response.end(body)
  logAccess(request.socket.remoteAddress, request.method ?? '', request.url ?? '', 200)
})
server.on('tlsClientError', () => {})
server.listen(setup.port, '127.0.0.1')
