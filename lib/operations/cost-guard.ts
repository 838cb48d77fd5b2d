import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';
import type { Alerts } from './alerts.ts';

/** The tag that every resource of the app carries; activate it as a cost allocation tag for the budget to see it. */
export const COST_TAG = { key: 'mates:app', value: 'mates' };

export interface CostGuardProps {
  monthlyUsd: number;
  alerts: Alerts;
}

/**
 * A monthly budget of the app's resources: a notice at 80 % spent and when the forecast passes it. It tells and does
 * not stop: what stops is `maxCostUsd` of a run, before a stage, and the environments' most vCPUs, at any time.
 */
export class CostGuard extends Construct {
  constructor(scope: Construct, id: string, { monthlyUsd, alerts }: CostGuardProps) {
    super(scope, id);
    const notice = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notification: { notificationType, comparisonOperator: 'GREATER_THAN', threshold, thresholdType: 'PERCENTAGE' },
      subscribers: [{ subscriptionType: 'SNS', address: alerts.topicArn }],
    });
    new CfnBudget(this, 'Budget', {
      budget: {
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: monthlyUsd, unit: 'USD' },
        costFilters: { TagKeyValue: [`user:${COST_TAG.key}$${COST_TAG.value}`] },
      },
      notificationsWithSubscribers: [notice('ACTUAL', 80), notice('FORECASTED', 100)],
    });
  }
}
