import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { firstLine } from '../processes.ts'
import { cipherSuites, type Peer, smallBody } from './peer.ts'

/**
 * HAProxy has no log file of its own: it writes a line at a time to its standard output, which is a file
 * here.
 */
export const haproxy: Peer = {
  name: 'haproxy',
  abilities: new Set(['handshake', 'idle', 'h1 static', 'h1 proxy', 'h2 static', 'h2 proxy', 'workers']),
  version: () => firstLine('haproxy', ['-v'])?.replace(/ \d{4}\/.*$/, ''),
  prepare({ folder, port, originPort, workers, certificate }) {
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(
      file,
      `global
  nbthread ${workers}
  maxconn 6000
  log stdout format raw local0
  ssl-default-bind-ciphersuites ${cipherSuites}
  ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
  mode http
  log global
  option httplog
  option dontlognull
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-request 10s
  timeout http-keep-alive 75s

frontend edge
  bind 127.0.0.1:${port} ssl crt ${certificate.bothFile} alpn h2,http/1.1
  http-request return status 200 content-type text/plain string "${smallBody}" if { path /static }
  http-request set-header X-Forwarded-Proto https
  default_backend origin

backend origin
  server origin 127.0.0.1:${originPort}
`,
    )
    return { command: 'haproxy', args: ['-db', '-f', file] }
  },
}
