export async function handler({ run }: { run: { uri: string } }) {
  return { report: `${run.uri}/report.html` };
}
