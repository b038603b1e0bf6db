/**
 * The command line as a value. Pure: nothing is read, printed or started here.
 * Unknown options and stray words are faults; there is no guessing.
 */
export type Command =
  | { readonly verb: 'run'; readonly configPath: string | undefined }
  /** HTTPS in front of one app, without a file. */
  | { readonly verb: 'serve'; readonly url: string }
  /** What `npm start` does: an app, a configuration, or the demo. */
  | { readonly verb: 'start'; readonly configPath: string | undefined; readonly url: string | undefined }
  | { readonly verb: 'check'; readonly configPath: string | undefined }
  | {
      readonly verb: 'reload'
      readonly configPath: string | undefined
      /** Admin address to ask instead of the configuration's. */
      readonly admin: string | undefined
    }
  | { readonly verb: 'version' }
  | { readonly verb: 'help' }
  | { readonly verb: 'fault'; readonly message: string }

const verbs: ReadonlyMap<string, Exclude<Command['verb'], 'serve' | 'fault'>> = new Map([
  ['run', 'run'],
  ['start', 'start'],
  ['check', 'check'],
  ['validate', 'check'],
  ['-t', 'check'],
  ['reload', 'reload'],
  ['version', 'version'],
  ['--version', 'version'],
  ['-v', 'version'],
  ['help', 'help'],
  ['--help', 'help'],
  ['-h', 'help'],
])

/** Options that take a value, and the verbs that know them. */
const valued: ReadonlyMap<
  string,
  { readonly option: 'configPath' | 'admin'; readonly verbs: readonly string[] }
> = new Map([
  ['-c', { option: 'configPath', verbs: ['run', 'start', 'check', 'reload'] }],
  ['--config', { option: 'configPath', verbs: ['run', 'start', 'check', 'reload'] }],
  ['--admin', { option: 'admin', verbs: ['reload'] }],
])

/** `words` are the arguments after the program's own name. */
export function parseArguments(words: readonly string[]): Command {
  const [first, ...others] = words
  if (first === undefined) return { verb: 'help' }
  let verb = verbs.get(first)
  let rest = others
  if (verb === undefined && isAppUrl(first)) {
    return others.length === 0
      ? { verb: 'serve', url: first }
      : fault(`unexpected argument ${quote(others[0] as string)}`)
  }
  if (verb === undefined && first.startsWith('-')) {
    // As with other servers, options alone mean `run`; -t anywhere means `check`.
    verb = words.includes('-t') ? 'check' : 'run'
    rest = words.filter((word) => word !== '-t')
  }
  if (verb === undefined) return fault(`unknown command ${quote(first)}; "sluice help" lists them`)
  const options: { configPath?: string; admin?: string } = {}
  let url: string | undefined
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] as string
    if (word === '--help' || word === '-h') return { verb: 'help' }
    const equals = word.startsWith('--') ? word.indexOf('=') : -1
    const name = equals < 0 ? word : word.slice(0, equals)
    const known = valued.get(name)
    if (known?.verbs.includes(verb)) {
      const value = equals < 0 ? rest[(at += 1)] : word.slice(equals + 1)
      if (value === undefined || value === '') return fault(`${name} needs a value`)
      if (options[known.option] !== undefined) return fault(`${name} is given twice`)
      options[known.option] = value
    } else if (word.startsWith('-')) {
      return fault(`unknown option ${quote(word)} for "sluice ${verb}"`)
    } else if (verb === 'start' && url === undefined && isAppUrl(word)) {
      url = word
    } else {
      return fault(`unexpected argument ${quote(word)}`)
    }
  }
  return assemble(verb, options.configPath, options.admin, url)
}

function assemble(
  verb: Exclude<Command['verb'], 'serve' | 'fault'>,
  configPath: string | undefined,
  admin: string | undefined,
  url: string | undefined,
): Command {
  switch (verb) {
    case 'run':
    case 'check':
      return { verb, configPath }
    case 'start':
      if (url !== undefined && configPath !== undefined)
        return fault('give either a URL or a configuration file, not both')
      return { verb, configPath, url }
    case 'reload':
      return { verb, configPath, admin }
    case 'version':
    case 'help':
      return { verb }
    default:
      return verb satisfies never
  }
}

function isAppUrl(word: string): boolean {
  return /^(https?:\/\/|unix:)/i.test(word)
}

function fault(message: string): Command {
  return { verb: 'fault', message }
}

function quote(word: string): string {
  return JSON.stringify(word)
}
