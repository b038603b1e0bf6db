import { createServer } from 'node:http'
import { originBytes } from '../origin.ts'
import { smallBody } from '../peer.ts'

/** The origin where there is no nginx. The one argument is the port. */
const bodies: ReadonlyMap<string, Buffer> = new Map(
  Object.entries(originBytes).map(([path, bytes]) => [path, Buffer.alloc(bytes, 'x')]),
)
const small = Buffer.from(smallBody)

const server = createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  const body = bodies.get(request.url ?? '') ?? small
  request.resume()
  request.once('end', () => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.byteLength })
    response.end(body)
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1')
