import { App } from 'aws-cdk-lib/core';
import { buildApp } from '../lib/build-app.ts';

buildApp(new App());
