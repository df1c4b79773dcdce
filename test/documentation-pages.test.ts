/** @servers any */
import { runInNewContext } from 'node:vm';
import { demo } from '../src/embedded/demo/demo.ts';
import { startApp, type TestApp } from './support/app.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly example?: unknown;
}
interface Sent {
  readonly headers: Record<string, string>;
}
interface Options {
  readonly persistAuthorization: boolean;
  readonly filter: boolean;
  readonly requestInterceptor: (request: Sent) => Sent;
  readonly spec: {
    readonly paths: Record<string, Record<string, { readonly parameters?: readonly Parameter[] }>>;
    readonly components: { readonly schemas: Record<string, { readonly examples?: readonly unknown[] }> };
  };
}

let service: TestApp;
let options: Options;
beforeAll(async () => {
  service = await startApp();
  options = await optionsOfPage();
});
afterAll(() => service.close());

/** What the page gives to Swagger UI, by running its script as a browser does. */
async function optionsOfPage(): Promise<Options> {
  const script = await (await fetch(`${service.url}/docs/swagger-ui-init.js`)).text();
  let given: Options | undefined;
  const bundle = Object.assign((one: Options) => ((given = one), { initOAuth: () => undefined }), {
    presets: { apis: null },
    plugins: { DownloadUrl: null },
  });
  const page = { onload: (): void => undefined, location: { search: '' } };
  runInNewContext(script, { window: page, SwaggerUIBundle: bundle, SwaggerUIStandalonePreset: null, crypto });
  page.onload();
  return given!;
}

describe('the page that shows the document', () => {
  it('is where the root leads, under its own title, with an icon', async () => {
    const root = await fetch(`${service.url}/`);
    expect([root.url, root.status]).toEqual([`${service.url}/docs`, 200]);
    expect(await root.text()).toContain('<title>Holdfast</title>');
    const icon = await fetch(`${service.url}/favicon.ico`);
    expect([icon.status, icon.headers.get('content-type')]).toEqual([200, 'image/png']);
  });

  it('keeps the token of its reader over a reload, and can be searched', () => {
    expect([options.persistAuthorization, options.filter]).toEqual([true, true]);
  });

  it('fills in each header that an operation demands', () => {
    const demanded = Object.values(options.spec.paths)
      .flatMap((item) => Object.values(item))
      .flatMap(({ parameters = [] }) => parameters.filter((one) => one.in === 'header' && one.required));
    expect(new Set(demanded.map(({ name }) => name))).toEqual(new Set(['Idempotency-Key', 'If-Match']));
    expect(demanded.filter(({ example }) => typeof example !== 'string')).toEqual([]);
  });

  it('sends a new key with each try of the example, and any other as it is', () => {
    const parameters = Object.values(options.spec.paths)
      .flatMap((item) => Object.values(item))
      .flatMap((operation) => operation.parameters ?? []);
    const example = String(parameters.find(({ name, required }) => name === 'Idempotency-Key' && required)?.example);
    const send = (key: string): string =>
      String(options.requestInterceptor({ headers: { 'Idempotency-Key': key } }).headers['Idempotency-Key']);
    const keys = [send(example), send(example)];
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(new Set([...keys, example]).size).toBe(3);
    expect(send('my-own')).toBe('my-own');
    expect(options.requestInterceptor({ headers: {} })).toEqual({ headers: {} });
  });

  it('shows a log-in that lets a reader of the demo in', () => {
    const { email, password } = demo.alice;
    expect(options.spec.components.schemas['NewSession']?.examples).toEqual([
      expect.objectContaining({ email, password }),
    ]);
  });
});

it('the page of problems has one main part', async () => {
  const { text } = await service.as().get('/problems').expect(200);
  expect(text.match(/<main>[^]*<h1>[^]*<\/main>/g)).toHaveLength(1);
});
