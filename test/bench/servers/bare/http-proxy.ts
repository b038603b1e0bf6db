import { Agent } from 'node:http'
import { createServer } from 'node:https'
import { createProxyServer } from 'http-proxy-3'
import { keepAliveMs, logAccess, setup, tlsOptions } from './setup.ts'

const proxy = createProxyServer({
  target: `http://127.0.0.1:${setup.originPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: 256 }),
  xfwd: true,
})
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response && !response.headersSent) response.writeHead(502)
  response.end()
})

const server = createServer({ ...tlsOptions, keepAliveTimeout: keepAliveMs }, (request, response) => {
  response.once('finish', () => {
    logAccess(request.socket.remoteAddress, request.method ?? '', request.url ?? '', response.statusCode)
  })
  proxy.web(request, response)
})
server.on('tlsClientError', () => {})
server.listen(setup.port, '127.0.0.1')
