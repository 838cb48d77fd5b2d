import { styles } from './charts/theme.ts';
import { type Content, Html, html } from './html.ts';

/** A whole page; it has no script and makes no request. */
export const page = (title: Content, body: Content): string =>
  `<!doctype html>\n${
    html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Html(styles)}</style>
</head>
<body><main>
${body}</main></body>
</html>
`.text
  }`;
