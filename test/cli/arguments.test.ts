import { expect, test } from 'vitest'
import { type Command, parseArguments } from '../../src/cli/arguments.ts'

const none = { configPath: undefined }

test.each<[string, Command]>([
  ['', { verb: 'help' }],
  ['help', { verb: 'help' }],
  ['--help', { verb: 'help' }],
  ['run --help', { verb: 'help' }],
  ['version', { verb: 'version' }],
  ['-v', { verb: 'version' }],
  ['run', { verb: 'run', ...none }],
  ['run -c a.ts', { verb: 'run', configPath: 'a.ts' }],
  ['run --config a.ts', { verb: 'run', configPath: 'a.ts' }],
  ['run --config=a.ts', { verb: 'run', configPath: 'a.ts' }],
  ['-c a.ts', { verb: 'run', configPath: 'a.ts' }],
  ['-t', { verb: 'check', ...none }],
  ['-t -c a.ts', { verb: 'check', configPath: 'a.ts' }],
  ['-c a.ts -t', { verb: 'check', configPath: 'a.ts' }],
  ['check', { verb: 'check', ...none }],
  ['validate -c a.ts', { verb: 'check', configPath: 'a.ts' }],
  ['reload', { verb: 'reload', ...none, admin: undefined }],
  ['reload --admin 127.0.0.1:9', { verb: 'reload', ...none, admin: '127.0.0.1:9' }],
  ['http://localhost:3000', { verb: 'serve', url: 'http://localhost:3000' }],
  ['unix:/run/app.sock', { verb: 'serve', url: 'unix:/run/app.sock' }],
  ['start', { verb: 'start', ...none, url: undefined }],
  ['start http://localhost:3000', { verb: 'start', ...none, url: 'http://localhost:3000' }],
  ['start -c a.ts', { verb: 'start', configPath: 'a.ts', url: undefined }],
])('"sluice %s" is understood', (line, command) => {
  expect(parseArguments(line === '' ? [] : line.split(' '))).toEqual(command)
})

test.each([
  ['serve', 'unknown command "serve"; "sluice help" lists them'],
  ['run -x', 'unknown option "-x" for "sluice run"'],
  ['run --admin a', 'unknown option "--admin" for "sluice run"'],
  ['run -c', '-c needs a value'],
  ['run --config=', '--config needs a value'],
  ['run -c a -c b', '-c is given twice'],
  ['run a.ts', 'unexpected argument "a.ts"'],
  ['version -c a', 'unknown option "-c" for "sluice version"'],
  ['http://a:1 http://b:2', 'unexpected argument "http://b:2"'],
  ['start http://a:1 http://b:2', 'unexpected argument "http://b:2"'],
  ['start http://a:1 -c a.ts', 'give either a URL or a configuration file, not both'],
])('"sluice %s" is refused', (line, message) => {
  expect(parseArguments(line.split(' '))).toEqual({ verb: 'fault', message })
})
