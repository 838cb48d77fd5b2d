import { expect, it } from 'vitest';
import { consoleLinks } from '../../functions/links.ts';

const execution = 'arn:aws:states:eu-west-1:123456789012:execution:Machine-abc:run-1';

it('links to what is known, and to nothing else', () => {
  expect(consoleLinks({ execution })).toEqual({
    execution: `https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/${execution}`,
  });
  expect(
    consoleLinks({
      execution,
      bucket: 'lake',
      prefix: 'runs/run-1',
      dashboard: 'Board',
      jobLogs: '/jobs/a',
      machineLogs: 'machine',
    }),
  ).toMatchObject({
    report:
      'https://eu-west-1.console.aws.amazon.com/s3/object/lake?region=eu-west-1&prefix=runs%2Frun-1%2Freport.html',
    run: 'https://eu-west-1.console.aws.amazon.com/s3/buckets/lake?region=eu-west-1&prefix=runs%2Frun-1%2F',
    dashboard: 'https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard/Board',
    jobLogs:
      'https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Fjobs$252Fa',
  });
});

it('goes to the console of the partition', () => {
  expect(consoleLinks({ execution: execution.replace('arn:aws:', 'arn:aws-cn:') }).execution).toMatch(
    /^https:\/\/eu-west-1\.console\.amazonaws\.cn\//,
  );
});
