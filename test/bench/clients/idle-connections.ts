import { connect } from 'node:tls'
import { smallBody } from '../servers/peer.ts'
import { task, tlsTo } from './arguments.ts'

/**
 * Opens many TLS connections, has one request answered on each, and keeps them open without a further word.
 * Prints a JSON line, `{"open":N,"failed":M}`, once all are open and whenever one is lost, and stays until it
 * is stopped.
 */
const lanes = 16
let left = task.connections
let open = 0
let failed = 0
let ready = false

await Promise.all(Array.from({ length: lanes }, lane))
ready = true
report()
setInterval(() => {}, 60_000)

function report(): void {
  console.log(JSON.stringify({ open, failed }))
}

async function lane(): Promise<void> {
  while (left > 0) {
    left -= 1
    await openOne()
  }
}

function openOne(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(tlsTo)
    let answered = false
    let seen = ''
    socket.once('secureConnect', () => socket.write('GET /static HTTP/1.1\r\nHost: localhost\r\n\r\n'))
    socket.on('data', (chunk) => {
      if (answered) return
      seen += chunk.toString('latin1')
      if (!seen.startsWith('HTTP/1.1 200') || !seen.endsWith(smallBody)) return
      answered = true
      seen = ''
      open += 1
      resolve()
    })
    socket.on('error', () => {})
    socket.once('close', () => {
      if (answered) open -= 1
      failed += 1
      resolve()
      if (ready) report()
    })
  })
}
