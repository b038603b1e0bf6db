import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { firstLine, type Program } from '../processes.ts'
import { cipherSuites, type Peer, smallBody } from './peer.ts'

/**
 * nginx as a careful administrator sets it up for this load: its access log is buffered as ours is, and large
 * answers are never spooled to disk.
 */
export const nginx: Peer = {
  name: 'nginx',
  abilities: new Set(['handshake', 'idle', 'h1 static', 'h1 proxy', 'h2 static', 'h2 proxy', 'workers']),
  version: nginxVersion,
  prepare({ folder, port, originPort, workers, certificate }) {
    const reusePort = workers > 1 ? ' reuseport' : ''
    return nginxProgram(
      folder,
      workers,
      `
  access_log ${join(folder, 'access.log')} combined buffer=64k flush=1s;
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_time 1h;
  }
  server {
    listen 127.0.0.1:${port} ssl http2${reusePort};
    ssl_certificate ${certificate.certFile};
    ssl_certificate_key ${certificate.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    ssl_conf_command Ciphersuites ${cipherSuites};
    ssl_session_cache shared:tls:10m;
    location = /static {
      default_type text/plain;
      return 200 "${smallBody}";
    }
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_max_temp_file_size 0;
    }
  }`,
    )
  },
}

export function nginxVersion(): string | undefined {
  return firstLine('nginx', ['-v'])?.replace('nginx version: ', '')
}

/** An nginx in the foreground, all of whose files are in `folder`. `servers` is what goes into `http { }`. */
export function nginxProgram(folder: string, workers: number, servers: string): Program {
  const file = join(folder, 'nginx.conf')
  const temp = join(folder, 'temp')
  mkdirSync(temp, { recursive: true })
  // As root, workers would become "nobody" and could not read the bench's private folder.
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};` : ''
  writeFileSync(
    file,
    `daemon off;
${user}
worker_processes ${workers};
worker_rlimit_nofile 16384;
pid ${join(folder, 'nginx.pid')};
error_log ${join(folder, 'error.log')} warn;
events { worker_connections 8192; }
http {
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  keepalive_time 1h;
  tcp_nodelay on;
  sendfile on;
  client_body_temp_path ${temp};
  proxy_temp_path ${temp};
  fastcgi_temp_path ${temp};
  uwsgi_temp_path ${temp};
  scgi_temp_path ${temp};
${servers}
}
`,
  )
  return { command: 'nginx', args: ['-p', folder, '-e', join(folder, 'error.log'), '-c', file] }
}
