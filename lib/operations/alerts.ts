import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Aws } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import type { Settings } from '../settings.ts';

/**
 * The topic for alarms, failed runs and budget notices. It has no encryption key: alarms and budgets cannot publish
 * through the account's default key, and only names and states are published.
 */
export class Alerts extends Topic {
  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id, { displayName: 'MATES', enforceSSL: true });
    if (settings.alarmEmail) this.addSubscription(new EmailSubscription(settings.alarmEmail));
    for (const service of ['cloudwatch', 'budgets'])
      this.addToResourcePolicy(
        new PolicyStatement({
          principals: [new ServicePrincipal(`${service}.amazonaws.com`)],
          actions: ['sns:Publish'],
          resources: [this.topicArn],
          conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
        }),
      );
  }
}
